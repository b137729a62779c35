// What the code that `aidlc --lang=cpp` generates stands on, next to rpc/parcelable.h: the bases of its stubs and proxies.
#pragma once
#include <concepts>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "rpc/binder.h"
#include "rpc/parcel.h"
#include "rpc/parcelable.h"
#include "rpc/status.h"

namespace adyton::rpc {

// --- The sizes of `out` arrays ---

// `out T[]`: the caller's count travels, so that the service can fill what the caller has (Parcel::writeVectorSize(),
// resizeOutVector()); -1 for a null one.
template <typename T>
struct ArraySize {
  T* array;
};
template <typename T>
ArraySize<T> array_size(T* array) {
  return {array};
}

// A reply cannot carry more, and a few bytes of a hostile call must not cost more.
inline constexpr size_t kMaxOutArrayBytes = size_t{1} << 20;

template <typename T>
Status write(Parcel* parcel, ArraySize<std::vector<T>> out) {
  if (out.array->size() > std::numeric_limits<int32_t>::max()) return Status::from_transport(TransportError::kBadValue);
  parcel->write_int32(static_cast<int32_t>(out.array->size()));
  return Status::ok();
}
template <typename T>
Status write(Parcel* parcel, ArraySize<std::optional<std::vector<T>>> out) {
  if (*out.array) return write(parcel, array_size(&**out.array));
  parcel->write_int32(-1);
  return Status::ok();
}

template <typename T>
Status read(const Parcel& parcel, ArraySize<std::vector<T>> out) {
  const auto count = parcel.read_int32();
  if (!count) return count.error();
  if (*count < 0) return Status::from_transport(TransportError::kUnexpectedNull);
  if (static_cast<size_t>(*count) > kMaxOutArrayBytes / sizeof(T)) {
    return Status::from_transport(TransportError::kNoMemory, "an out array of too many elements");
  }
  out.array->resize(static_cast<size_t>(*count));
  return Status::ok();
}
template <typename T>
Status read(const Parcel& parcel, ArraySize<std::optional<std::vector<T>>> out) {
  const size_t start = parcel.read_position();
  const auto count = parcel.read_int32();
  if (!count) return count.error();
  out.array->reset();
  if (*count == -1) return Status::ok();
  ADYTON_RPC_TRY(parcel.set_read_position(start));
  return read(parcel, array_size(&out.array->emplace()));
}

// --- Values on the heap ---

// By what they point to; for operator== of parcelables with @nullable(heap=true) fields.
template <typename T>
bool equal(const std::unique_ptr<T>& a, const std::unique_ptr<T>& b) {
  return a && b ? *a == *b : !a && !b;
}

// --- Proxies ---

// The base of generated proxies. Any thread.
class Proxy {
 protected:
  // `descriptor` outlives the proxy.
  Proxy(std::shared_ptr<Binder> binder, std::string_view descriptor) : binder_(std::move(binder)), descriptor_(descriptor) {}
  ~Proxy() = default;

  // Arguments that go, in their order: values, or what nullable(), file_descriptor() and array_size() make of them.
  template <typename... Ts>
  static std::tuple<const Ts&...> in(const Ts&... values) {
    return {values...};
  }
  // Arguments that come back: pointers, or what nullable() and file_descriptor() make of them.
  template <typename... Ts>
  static std::tuple<Ts...> out(Ts... targets) {
    return {targets...};
  }

  // Calls method `code` and waits. F says how the result is written where its type does not.
  template <typename Result, Form F = Form::kPlain, typename... In, typename... Out>
  Reply<Result> call_method(uint32_t code, const std::tuple<In...>& values = {}, const std::tuple<Out...>& targets = {}) {
    Parcel data;
    if (Status status = write_arguments(&data, values); !status.is_ok()) return std::unexpected(std::move(status));
    const auto receive = [&](auto... result) {
      return std::apply([&](auto... target) { return call(*binder_, code, data, 0, result..., target...); }, targets);
    };
    if constexpr (std::is_void_v<Result>) {
      if (Status status = receive(); !status.is_ok()) return std::unexpected(std::move(status));
      return {};
    } else {
      Result result{};
      if (Status status = receive(Formed<F, Result>{&result}); !status.is_ok()) return std::unexpected(std::move(status));
      return result;
    }
  }

  // Sends the call: returns once it is on its way.
  template <typename... In>
  Reply<> call_oneway(uint32_t code, const std::tuple<In...>& values = {}) {
    Parcel data;
    Status status = write_arguments(&data, values);
    if (status.is_ok()) status = call(*binder_, code, data, kOneway);
    if (!status.is_ok()) return std::unexpected(std::move(status));
    return {};
  }

  // What the other side was generated from; asked once.
  Reply<int32_t> remote_version() { return remembered(&version_, kGetInterfaceVersion); }
  Reply<std::string> remote_hash() { return remembered(&hash_, kGetInterfaceHash); }

  const std::shared_ptr<Binder> binder_;

 private:
  template <typename... In>
  Status write_arguments(Parcel* data, const std::tuple<In...>& values) const {
    data->write_interface_token(descriptor_);
    return std::apply([&](const auto&... value) { return write_all(data, value...); }, values);
  }

  template <typename T>
  Reply<T> remembered(std::optional<T>* answer, uint32_t code) {
    {
      const std::lock_guard lock(mutex_);
      if (*answer) return **answer;
    }
    T asked = TRY(call_method<T>(code));  // without the lock: this thread may serve other calls meanwhile
    const std::lock_guard lock(mutex_);
    return answer->emplace(std::move(asked));
  }

  const std::string_view descriptor_;
  std::mutex mutex_;
  std::optional<int32_t> version_;   // guarded by mutex_
  std::optional<std::string> hash_;  // guarded by mutex_
};

// --- Stubs ---

// The base of the generated stub of interface I.
//
// An exception (of C++) that leaves a method of yours ends that call, not the service: the caller gets Exception::kIllegalState
// with what() for its message. Nobody hears of one that leaves a oneway method.
template <typename I>
class Stub : public I, public LocalBinder {
 public:
  std::shared_ptr<Binder> as_binder() override { return shared_from_this(); }
  std::string interface_descriptor() override { return std::string(I::kDescriptor); }

  Status on_transact(uint32_t code, const Parcel& data, Parcel* reply, uint32_t) override {
    ADYTON_RPC_TRY(data.check_interface_token(I::kDescriptor));
    if constexpr (requires { I::kVersion; }) {
      if (code == kGetInterfaceVersion) return write_reply(reply, Reply<int32_t>(I::kVersion));
    }
    if constexpr (requires { I::kHash; }) {
      if (code == kGetInterfaceHash) return write_reply(reply, Reply<std::string>(I::kHash));
    }
    return dispatch(code, data, reply);
  }

 protected:
  // Reads the arguments of method `code`, calls it, writes its reply. kUnknownTransaction if there is no such method.
  virtual Status dispatch(uint32_t code, const Parcel& data, Parcel* reply) = 0;
};

// --- Between objects and interfaces ---

// What I::from_binder() is: the object itself if it is local, else a proxy for it. Null for null, and for a local object of
// another interface. A remote object is not asked what it is, as that would be a call; if it is something else it refuses the
// proxy's calls by their interface token. Ask interface_descriptor() to know before.
template <typename I, std::derived_from<I> LocalClass, std::derived_from<I> ProxyClass>
std::shared_ptr<I> interface_of(std::shared_ptr<Binder> binder) {
  if (!binder) return nullptr;
  if (auto local = std::dynamic_pointer_cast<LocalClass>(binder)) return local;
  // A local object may implement the interface without our stub, as those of the NDK back end do.
  if (binder->local() != nullptr && binder->interface_descriptor() != I::kDescriptor) return nullptr;
  return std::make_shared<ProxyClass>(std::move(binder));
}

}  // namespace adyton::rpc

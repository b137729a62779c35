// Owners of what the C functions count and free, as the Android NDK names them.
#pragma once
#include <android/binder_ibinder.h>
#include <android/binder_parcel.h>
#include <android/binder_status.h>
#include <fcntl.h>
#include <unistd.h>

#include <string>
#include <utility>

namespace ndk {

// A counted reference to an AIBinder.
class SpAIBinder {
 public:
  SpAIBinder() = default;
  explicit SpAIBinder(AIBinder* binder) : binder_(binder) {}  // takes one reference over
  SpAIBinder(std::nullptr_t) {}                               // NOLINT(google-explicit-constructor)
  SpAIBinder(const SpAIBinder& other) : binder_(other.binder_) { AIBinder_incStrong(binder_); }
  SpAIBinder(SpAIBinder&& other) noexcept : binder_(other.release()) {}
  SpAIBinder& operator=(SpAIBinder other) noexcept {
    std::swap(binder_, other.binder_);
    return *this;
  }
  ~SpAIBinder() { set(nullptr); }

  void set(AIBinder* binder) {  // takes one reference over
    AIBinder* old = std::exchange(binder_, binder);
    if (old != nullptr) AIBinder_decStrong(old);
  }
  [[nodiscard]] AIBinder* get() const { return binder_; }
  AIBinder** getR() { return &binder_; }  // for a function to fill in
  [[nodiscard]] AIBinder* release() { return std::exchange(binder_, nullptr); }

  friend bool operator==(const SpAIBinder& a, const SpAIBinder& b) { return a.binder_ == b.binder_; }
  friend bool operator!=(const SpAIBinder& a, const SpAIBinder& b) { return a.binder_ != b.binder_; }
  friend bool operator<(const SpAIBinder& a, const SpAIBinder& b) { return AIBinder_lt(a.binder_, b.binder_); }
  friend bool operator<=(const SpAIBinder& a, const SpAIBinder& b) { return !(b < a); }
  friend bool operator>(const SpAIBinder& a, const SpAIBinder& b) { return b < a; }
  friend bool operator>=(const SpAIBinder& a, const SpAIBinder& b) { return !(a < b); }

 private:
  AIBinder* binder_ = nullptr;
};

namespace impl {

template <typename T, void (*Destroy)(T), T kDefault>
class ScopedAResource {
 public:
  explicit ScopedAResource(T resource = kDefault) : resource_(resource) {}
  ScopedAResource(ScopedAResource&& other) noexcept : resource_(other.release()) {}
  ScopedAResource& operator=(ScopedAResource&& other) noexcept {
    set(other.release());
    return *this;
  }
  ScopedAResource(const ScopedAResource&) = delete;
  ScopedAResource& operator=(const ScopedAResource&) = delete;
  ~ScopedAResource() { set(kDefault); }

  void set(T resource) {
    const T old = std::exchange(resource_, resource);
    if (old != kDefault && old != resource) Destroy(old);
  }
  [[nodiscard]] T get() const { return resource_; }
  T* getR() { return &resource_; }
  [[nodiscard]] T release() { return std::exchange(resource_, kDefault); }

 private:
  T resource_;
};

inline void close_descriptor(int fd) { ::close(fd); }

}  // namespace impl

class ScopedAParcel : public impl::ScopedAResource<AParcel*, AParcel_delete, nullptr> {
 public:
  explicit ScopedAParcel(AParcel* parcel = nullptr) : ScopedAResource(parcel) {}
};

class ScopedAStatus : public impl::ScopedAResource<AStatus*, AStatus_delete, nullptr> {
 public:
  explicit ScopedAStatus(AStatus* status = nullptr) : ScopedAResource(status) {}

  [[nodiscard]] bool isOk() const { return get() != nullptr && AStatus_isOk(get()); }
  [[nodiscard]] binder_exception_t getExceptionCode() const { return AStatus_getExceptionCode(get()); }
  [[nodiscard]] int32_t getServiceSpecificError() const { return AStatus_getServiceSpecificError(get()); }
  [[nodiscard]] binder_status_t getStatus() const { return AStatus_getStatus(get()); }
  [[nodiscard]] const char* getMessage() const { return AStatus_getMessage(get()); }
  [[nodiscard]] std::string getDescription() const {
    const char* text = AStatus_getDescription(get());
    std::string description(text);
    AStatus_deleteDescription(text);
    return description;
  }

  static ScopedAStatus ok() { return ScopedAStatus(AStatus_newOk()); }
  static ScopedAStatus fromExceptionCode(binder_exception_t exception) {
    return ScopedAStatus(AStatus_fromExceptionCode(exception));
  }
  static ScopedAStatus fromExceptionCodeWithMessage(binder_exception_t exception, const char* message) {
    return ScopedAStatus(AStatus_fromExceptionCodeWithMessage(exception, message));
  }
  static ScopedAStatus fromServiceSpecificError(int32_t code) { return ScopedAStatus(AStatus_fromServiceSpecificError(code)); }
  static ScopedAStatus fromServiceSpecificErrorWithMessage(int32_t code, const char* message) {
    return ScopedAStatus(AStatus_fromServiceSpecificErrorWithMessage(code, message));
  }
  static ScopedAStatus fromStatus(binder_status_t status) { return ScopedAStatus(AStatus_fromStatus(status)); }
};

class ScopedAIBinder_DeathRecipient
    : public impl::ScopedAResource<AIBinder_DeathRecipient*, AIBinder_DeathRecipient_delete, nullptr> {
 public:
  explicit ScopedAIBinder_DeathRecipient(AIBinder_DeathRecipient* recipient = nullptr) : ScopedAResource(recipient) {}
};

class ScopedAIBinder_Weak : public impl::ScopedAResource<AIBinder_Weak*, AIBinder_Weak_delete, nullptr> {
 public:
  explicit ScopedAIBinder_Weak(AIBinder_Weak* weak = nullptr) : ScopedAResource(weak) {}

  SpAIBinder promote() const { return SpAIBinder(AIBinder_Weak_promote(get())); }
};

class ScopedFileDescriptor : public impl::ScopedAResource<int, impl::close_descriptor, -1> {
 public:
  explicit ScopedFileDescriptor(int fd = -1) : ScopedAResource(fd) {}

  [[nodiscard]] ScopedFileDescriptor dup() const { return ScopedFileDescriptor(::fcntl(get(), F_DUPFD_CLOEXEC, 0)); }

  // Two owners of one descriptor cannot be, so only those without one are equal.
  friend bool operator==(const ScopedFileDescriptor& a, const ScopedFileDescriptor& b) { return a.get() == b.get(); }
  friend bool operator!=(const ScopedFileDescriptor& a, const ScopedFileDescriptor& b) { return a.get() != b.get(); }
  friend bool operator<(const ScopedFileDescriptor& a, const ScopedFileDescriptor& b) { return a.get() < b.get(); }
  friend bool operator>(const ScopedFileDescriptor& a, const ScopedFileDescriptor& b) { return a.get() > b.get(); }
  friend bool operator<=(const ScopedFileDescriptor& a, const ScopedFileDescriptor& b) { return a.get() <= b.get(); }
  friend bool operator>=(const ScopedFileDescriptor& a, const ScopedFileDescriptor& b) { return a.get() >= b.get(); }
};

}  // namespace ndk

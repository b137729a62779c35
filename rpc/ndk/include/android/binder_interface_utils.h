// The bases of the interfaces, stubs (Bn) and proxies (Bp) that `aidl --lang=ndk` generates, as the Android NDK names them.
#pragma once
#include <android/binder_auto_utils.h>
#include <android/binder_ibinder.h>

#include <memory>
#include <mutex>
#include <utility>

namespace ndk {

// An object with shared ownership that knows its owners. Make it by SharedRefBase::make<T>(...), never by std::make_shared.
class SharedRefBase {
 public:
  SharedRefBase() = default;
  SharedRefBase(const SharedRefBase&) = delete;
  SharedRefBase& operator=(const SharedRefBase&) = delete;
  virtual ~SharedRefBase() = default;

  // The first call makes the caller the first owner of an object that `new` made.
  std::shared_ptr<SharedRefBase> ref() {
    std::shared_ptr<SharedRefBase> owner;
    std::call_once(owned_, [&] {
      owner.reset(this);
      self_ = owner;
    });
    return owner ? owner : self_.lock();
  }
  template <typename Child>
  std::shared_ptr<Child> ref() {
    return std::static_pointer_cast<Child>(ref());
  }

  template <typename T, typename... Arguments>
  static std::shared_ptr<T> make(Arguments&&... arguments) {
    T* object = new T(std::forward<Arguments>(arguments)...);
    return object->template ref<T>();
  }

 private:
  std::once_flag owned_;
  std::weak_ptr<SharedRefBase> self_;
};

// An interface: local or remote.
class ICInterface : public SharedRefBase {
 public:
  virtual SpAIBinder asBinder() = 0;
  virtual bool isRemote() = 0;
  virtual binder_status_t dump(int /*fd*/, const char** /*args*/, uint32_t /*numArgs*/) { return STATUS_OK; }

  // The implementation behind a local object whose class defineClass() made; null for remote ones. Use IFoo::fromBinder().
  static std::shared_ptr<ICInterface> asInterface(AIBinder* binder) {
    void* data = binder != nullptr ? AIBinder_getUserData(binder) : nullptr;
    return data != nullptr ? static_cast<UserData*>(data)->implementation : nullptr;
  }

  static AIBinder_Class* defineClass(const char* interfaceDescriptor, AIBinder_Class_onTransact onTransact) {
    AIBinder_Class* clazz = AIBinder_Class_define(interfaceDescriptor, on_create, on_destroy, onTransact);
    if (clazz != nullptr) AIBinder_Class_setOnDump(clazz, on_dump);
    return clazz;
  }

 private:
  // The object owns its implementation.
  struct UserData {
    std::shared_ptr<ICInterface> implementation;
  };
  static void* on_create(void* args) { return new UserData{static_cast<ICInterface*>(args)->ref<ICInterface>()}; }
  static void on_destroy(void* data) { delete static_cast<UserData*>(data); }
  static binder_status_t on_dump(AIBinder* binder, int fd, const char** args, uint32_t count) {
    const auto implementation = asInterface(binder);
    return implementation ? implementation->dump(fd, args, count) : STATUS_OK;
  }
};

// The base of the stub of interface I.
template <typename I>
class BnCInterface : public I {
 public:
  SpAIBinder asBinder() final {
    const std::lock_guard lock(mutex_);
    // The implementation must not own its object, or neither would ever go.
    SpAIBinder binder;
    if (object_.get() != nullptr) binder = object_.promote();
    if (binder.get() == nullptr) {
      binder = createBinder();
      object_.set(AIBinder_Weak_new(binder.get()));
    }
    return binder;
  }
  bool isRemote() final { return false; }

 protected:
  virtual SpAIBinder createBinder() = 0;

 private:
  std::mutex mutex_;
  ScopedAIBinder_Weak object_;  // guarded by mutex_
};

// The base of the proxy of interface I.
template <typename I>
class BpCInterface : public I {
 public:
  explicit BpCInterface(const SpAIBinder& binder) : binder_(binder) {}

  SpAIBinder asBinder() final { return binder_; }
  bool isRemote() final { return AIBinder_isRemote(binder_.get()); }
  binder_status_t dump(int fd, const char** args, uint32_t numArgs) override {
    return AIBinder_dump(binder_.get(), fd, args, numArgs);
  }

 private:
  const SpAIBinder binder_;
};

}  // namespace ndk

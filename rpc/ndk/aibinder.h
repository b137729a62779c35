// What an AIBinder is.
#pragma once
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "rpc/binder.h"
#include "rpc/ndk/bridge.h"
#include "rpc/ndk/include/android/binder_ibinder.h"

struct AIBinder_Class {
  std::string descriptor;
  AIBinder_Class_onCreate on_create;
  AIBinder_Class_onDestroy on_destroy;
  AIBinder_Class_onTransact on_transact;
  AIBinder_onDump on_dump = nullptr;
  bool has_token = true;
};

// An object of the NDK. It lives by shared_ptr, which the runtime holds too; the references that programs count by hand hold one.
struct AIBinder {
 public:
  explicit AIBinder(const AIBinder_Class* clazz) : class_(clazz) {}
  AIBinder(const AIBinder&) = delete;
  AIBinder& operator=(const AIBinder&) = delete;
  virtual ~AIBinder() = default;

  virtual std::shared_ptr<AIBinder> share() = 0;
  virtual std::shared_ptr<adyton::rpc::Binder> binder() = 0;
  virtual void* user_data() { return nullptr; }

  void increase();
  void decrease();
  [[nodiscard]] int32_t count() const;

  [[nodiscard]] const AIBinder_Class* clazz() const { return class_; }
  void set_class(const AIBinder_Class* clazz) { class_ = clazz; }

 private:
  std::atomic<const AIBinder_Class*> class_;
  mutable std::mutex mutex_;
  int32_t count_ = 0;               // guarded by mutex_
  std::shared_ptr<AIBinder> self_;  // guarded by mutex_; set while count_ > 0
};

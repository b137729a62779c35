#include "rpc/ndk/aibinder.h"

#include <unistd.h>

#include <deque>
#include <functional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "rpc/ndk/aparcel.h"
#include "rpc/ndk/astatus.h"
#include "rpc/parcel.h"

using adyton::rpc::Binder;
using adyton::rpc::binder_of;
using adyton::rpc::LocalBinder;
using adyton::rpc::ndk_object_of;
using adyton::rpc::ndk_status;
using adyton::rpc::Parcel;
using adyton::rpc::Status;
using adyton::rpc::status_of;
using adyton::rpc::TransportError;

namespace {

// An object that AIBinder_new() made.
class NdkObject final : public LocalBinder, public AIBinder {
 public:
  NdkObject(const AIBinder_Class* clazz, void* args) : AIBinder(clazz), own_class_(clazz), user_data_(clazz->on_create(args)) {}
  ~NdkObject() override { own_class_->on_destroy(user_data_); }

  std::shared_ptr<AIBinder> share() override { return std::static_pointer_cast<NdkObject>(shared_from_this()); }
  std::shared_ptr<Binder> binder() override { return shared_from_this(); }
  void* user_data() override { return user_data_; }

  std::string interface_descriptor() override { return own_class_->descriptor; }

  Status on_transact(uint32_t code, const Parcel& data, Parcel* reply, uint32_t) override {
    if (code < FIRST_CALL_TRANSACTION || code > LAST_CALL_TRANSACTION) {
      return Status::from_transport(TransportError::kUnknownTransaction);
    }
    if (own_class_->has_token) {
      if (Status token = data.check_interface_token(own_class_->descriptor); !token.is_ok()) return token;
    }
    const AParcel in(data);
    AParcel out(reply);
    return status_of(own_class_->on_transact(this, code, &in, &out));
  }

  Status dump(int fd, const std::vector<std::string>& arguments) override {
    if (own_class_->on_dump == nullptr) return Status::ok();
    std::vector<const char*> pointers;
    pointers.reserve(arguments.size());
    for (const std::string& argument : arguments) pointers.push_back(argument.c_str());
    return status_of(own_class_->on_dump(this, fd, pointers.data(), static_cast<uint32_t>(pointers.size())));
  }

 private:
  const AIBinder_Class* const own_class_;
  void* const user_data_;
};

// Any other object of the runtime's: a remote one, or a local one that was made without the NDK.
class ForeignObject final : public AIBinder, public std::enable_shared_from_this<ForeignObject> {
 public:
  explicit ForeignObject(std::shared_ptr<Binder> binder) : AIBinder(nullptr), binder_(std::move(binder)) {}
  ~ForeignObject() override;

  std::shared_ptr<AIBinder> share() override { return shared_from_this(); }
  std::shared_ptr<Binder> binder() override { return binder_; }

 private:
  const std::shared_ptr<Binder> binder_;
};

// Which NDK object stands for which of the runtime's, as long as it lives.
struct ForeignObjects {
  std::mutex mutex;
  std::unordered_map<const Binder*, std::pair<const ForeignObject*, std::weak_ptr<ForeignObject>>> map;
};

ForeignObjects& foreign_objects() {
  static ForeignObjects& objects = *new ForeignObjects;  // outlives every other static object
  return objects;
}

ForeignObject::~ForeignObject() {
  ForeignObjects& objects = foreign_objects();
  const std::lock_guard lock(objects.mutex);
  const auto entry = objects.map.find(binder_.get());
  // A newer one may have taken its place since its last owner went.
  if (entry != objects.map.end() && entry->second.first == this) objects.map.erase(entry);
}

}  // namespace

void AIBinder::increase() {
  const std::lock_guard lock(mutex_);
  if (count_++ == 0) self_ = share();
}

void AIBinder::decrease() {
  std::shared_ptr<AIBinder> last;  // goes after the lock, which is in the object
  const std::lock_guard lock(mutex_);
  if (--count_ == 0) last = std::move(self_);
}

int32_t AIBinder::count() const {
  const std::lock_guard lock(mutex_);
  return count_;
}

namespace adyton::rpc {

std::shared_ptr<Binder> binder_of(AIBinder* object) { return object != nullptr ? object->binder() : nullptr; }

AIBinder* ndk_object_of(const std::shared_ptr<Binder>& binder) {
  if (!binder) return nullptr;
  if (auto* own = dynamic_cast<NdkObject*>(binder.get())) {
    own->increase();
    return own;
  }
  ForeignObjects& objects = foreign_objects();
  std::shared_ptr<ForeignObject> object;  // goes after the lock, which its destructor takes
  const std::lock_guard lock(objects.mutex);
  auto& [pointer, weak] = objects.map[binder.get()];
  object = weak.lock();
  if (!object) {
    object = std::make_shared<ForeignObject>(binder);
    pointer = object.get();
    weak = object;
  }
  object->increase();
  return object.get();
}

}  // namespace adyton::rpc

// --- Classes ---

AIBinder_Class* AIBinder_Class_define(const char* interfaceDescriptor, AIBinder_Class_onCreate onCreate,
                                      AIBinder_Class_onDestroy onDestroy, AIBinder_Class_onTransact onTransact) {
  if (interfaceDescriptor == nullptr || onCreate == nullptr || onDestroy == nullptr || onTransact == nullptr) return nullptr;
  static std::mutex mutex;
  static std::deque<AIBinder_Class>& classes = *new std::deque<AIBinder_Class>;  // outlive every other static object
  const std::lock_guard lock(mutex);
  return &classes.emplace_back(AIBinder_Class{interfaceDescriptor, onCreate, onDestroy, onTransact});
}

void AIBinder_Class_setOnDump(AIBinder_Class* clazz, AIBinder_onDump onDump) { clazz->on_dump = onDump; }
void AIBinder_Class_disableInterfaceTokenHeader(AIBinder_Class* clazz) { clazz->has_token = false; }
const char* AIBinder_Class_getDescriptor(const AIBinder_Class* clazz) { return clazz->descriptor.c_str(); }

// --- Objects ---

AIBinder* AIBinder_new(const AIBinder_Class* clazz, void* args) {
  if (clazz == nullptr) return nullptr;
  const auto object = std::make_shared<NdkObject>(clazz, args);
  object->increase();
  return object.get();
}

bool AIBinder_isRemote(const AIBinder* binder) {
  return binder != nullptr && const_cast<AIBinder*>(binder)->binder()->local() == nullptr;
}
bool AIBinder_isAlive(const AIBinder* binder) { return binder != nullptr && const_cast<AIBinder*>(binder)->binder()->is_alive(); }
binder_status_t AIBinder_ping(AIBinder* binder) {
  return binder != nullptr ? ndk_status(binder->binder()->ping()) : STATUS_UNEXPECTED_NULL;
}

binder_status_t AIBinder_dump(AIBinder* binder, int fd, const char** args, uint32_t numArgs) {
  if (binder == nullptr || (args == nullptr && numArgs > 0)) return STATUS_UNEXPECTED_NULL;
  if (numArgs > INT32_MAX) return STATUS_BAD_VALUE;
  Parcel data;
  if (const Status status = data.write_fd(fd); !status.is_ok()) return ndk_status(status);
  data.write_int32(static_cast<int32_t>(numArgs));
  for (uint32_t i = 0; i < numArgs; ++i) {
    if (args[i] == nullptr) return STATUS_UNEXPECTED_NULL;
    if (const Status status = data.write_string(args[i]); !status.is_ok()) return ndk_status(status);
  }
  Parcel reply;
  return ndk_status(binder->binder()->transact(adyton::rpc::kDump, data, &reply));
}

void AIBinder_incStrong(AIBinder* binder) {
  if (binder != nullptr) binder->increase();
}
void AIBinder_decStrong(AIBinder* binder) {
  if (binder != nullptr) binder->decrease();
}
int32_t AIBinder_debugGetRefCount(AIBinder* binder) { return binder != nullptr ? binder->count() : -1; }

bool AIBinder_associateClass(AIBinder* binder, const AIBinder_Class* clazz) {
  if (binder == nullptr || clazz == nullptr) return false;
  if (binder->clazz() != nullptr) return binder->clazz() == clazz;
  if (binder->binder()->interface_descriptor() != clazz->descriptor) return false;
  binder->set_class(clazz);
  return true;
}

const AIBinder_Class* AIBinder_getClass(AIBinder* binder) { return binder != nullptr ? binder->clazz() : nullptr; }
void* AIBinder_getUserData(AIBinder* binder) { return binder != nullptr ? binder->user_data() : nullptr; }
bool AIBinder_lt(const AIBinder* lhs, const AIBinder* rhs) { return std::less<>()(lhs, rhs); }

binder_status_t AIBinder_getExtension(AIBinder* binder, AIBinder** outExt) {
  if (binder == nullptr || outExt == nullptr) return STATUS_UNEXPECTED_NULL;
  *outExt = nullptr;
  Parcel reply;
  if (const Status status = binder->binder()->transact(adyton::rpc::kExtension, Parcel(), &reply); !status.is_ok()) {
    return ndk_status(status);
  }
  const auto extension = reply.read_nullable_binder();
  if (!extension) return ndk_status(extension.error());
  *outExt = ndk_object_of(*extension);
  return STATUS_OK;
}

binder_status_t AIBinder_setExtension(AIBinder* binder, AIBinder* ext) {
  if (binder == nullptr || ext == nullptr) return STATUS_UNEXPECTED_NULL;
  LocalBinder* local = binder->binder()->local();
  if (local == nullptr) return STATUS_INVALID_OPERATION;
  local->set_extension(binder_of(ext));
  return STATUS_OK;
}

// --- Calls ---

binder_status_t AIBinder_prepareTransaction(AIBinder* binder, AParcel** in) {
  if (binder == nullptr || in == nullptr) return STATUS_UNEXPECTED_NULL;
  *in = nullptr;
  const AIBinder_Class* clazz = binder->clazz();
  if (clazz == nullptr) return STATUS_INVALID_OPERATION;
  *in = new AParcel;
  (*in)->target = binder;
  if (clazz->has_token) (*in)->parcel->write_interface_token(clazz->descriptor);
  (*in)->position = (*in)->parcel->write_position();
  return STATUS_OK;
}

binder_status_t AIBinder_transact(AIBinder* binder, transaction_code_t code, AParcel** in, AParcel** out, binder_flags_t flags) {
  if (in == nullptr) return STATUS_UNEXPECTED_NULL;
  const std::unique_ptr<AParcel> arguments(std::exchange(*in, nullptr));
  if (out != nullptr) *out = nullptr;
  if (binder == nullptr || !arguments || out == nullptr) return STATUS_UNEXPECTED_NULL;
  if (code < FIRST_CALL_TRANSACTION || code > LAST_CALL_TRANSACTION) return STATUS_UNKNOWN_TRANSACTION;
  if ((flags & ~binder_flags_t{FLAG_ONEWAY}) != 0 || arguments->target != binder) return STATUS_BAD_VALUE;
  auto reply = std::make_unique<AParcel>();
  const Status status = binder->binder()->transact(code, *arguments->parcel, reply->parcel, flags);
  if (!status.is_ok()) return ndk_status(status);
  *out = reply.release();
  return STATUS_OK;
}

uid_t AIBinder_getCallingUid() {
  const auto* caller = adyton::rpc::current_caller();
  return caller != nullptr ? caller->uid : ::getuid();
}
pid_t AIBinder_getCallingPid() {
  const auto* caller = adyton::rpc::current_caller();
  if (caller == nullptr) return ::getpid();
  return caller->pid < 0 ? 0 : caller->pid;
}
bool AIBinder_isHandlingTransaction() {
  const auto* caller = adyton::rpc::current_caller();
  return caller != nullptr && caller->session != 0;
}

// --- Weak references ---

struct AIBinder_Weak {
  std::weak_ptr<AIBinder> object;
  std::weak_ptr<Binder> binder;
};

AIBinder_Weak* AIBinder_Weak_new(AIBinder* binder) {
  return binder != nullptr ? new AIBinder_Weak{binder->share(), binder->binder()} : nullptr;
}
void AIBinder_Weak_delete(AIBinder_Weak* weakBinder) { delete weakBinder; }

AIBinder* AIBinder_Weak_promote(AIBinder_Weak* weakBinder) {
  if (weakBinder == nullptr) return nullptr;
  if (const auto object = weakBinder->object.lock()) {
    object->increase();
    return object.get();
  }
  // What stood for a remote object is gone, but not yet what it stood for.
  return ndk_object_of(weakBinder->binder.lock());
}

AIBinder_Weak* AIBinder_Weak_clone(const AIBinder_Weak* weak) { return weak != nullptr ? new AIBinder_Weak(*weak) : nullptr; }

bool AIBinder_Weak_lt(const AIBinder_Weak* lhs, const AIBinder_Weak* rhs) {
  if (lhs == nullptr || rhs == nullptr) return lhs == nullptr && rhs != nullptr;
  return lhs->binder.owner_before(rhs->binder);
}

// Objects that can be called across a session. A Binder is either local (your class) or remote (a proxy, which a session made).
//
// References are std::shared_ptr. A remote object lives as long as a proxy for it does: the session counts (RPC: DEC_STRONG).
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "rpc/status.h"

namespace adyton::rpc {

class Parcel;
class LocalBinder;

// Transaction codes (binder/IBinder.h). AIDL numbers methods from kFirstCall on.
inline constexpr uint32_t kFirstCall = 1;
inline constexpr uint32_t kLastCall = 0x00ff'ffff;
inline constexpr uint32_t kGetInterfaceVersion = kFirstCall + 16'777'214;
inline constexpr uint32_t kGetInterfaceHash = kFirstCall + 16'777'213;
constexpr uint32_t special_code(char a, char b, char c, char d) {
  return uint32_t(uint8_t(a)) << 24 | uint32_t(uint8_t(b)) << 16 | uint32_t(uint8_t(c)) << 8 | uint32_t(uint8_t(d));
}
inline constexpr uint32_t kPing = special_code('_', 'P', 'N', 'G');       // answers with an empty parcel
inline constexpr uint32_t kInterface = special_code('_', 'N', 'T', 'F');  // answers with the descriptor as String16
inline constexpr uint32_t kDump = special_code('_', 'D', 'M', 'P');       // a file descriptor and a String16 vector of arguments
inline constexpr uint32_t kExtension = special_code('_', 'E', 'X', 'T');  // answers with a binder, or null

inline constexpr uint32_t kOneway = 1;  // transaction flag: no reply, the call returns once it is sent

// Is told, once, that the session of a remote object has ended. Called on a thread of the runtime with no lock held.
using DeathRecipient = std::function<void()>;

class Binder : public std::enable_shared_from_this<Binder> {
 public:
  virtual ~Binder() = default;
  Binder() = default;
  Binder(const Binder&) = delete;
  Binder& operator=(const Binder&) = delete;

  // Calls method `code` and waits for its reply, unless flags has kOneway. `reply` is left empty on failure. Any thread.
  // The Status is about the transport alone (is_ok, or kTransactionFailed): exceptions are at the reply's start, see
  // read_status().
  virtual Status transact(uint32_t code, const Parcel& data, Parcel* reply, uint32_t flags = 0) = 0;

  // The descriptor of the interface that the object implements; a remote object is asked once. Empty when it cannot be told.
  virtual std::string interface_descriptor() = 0;

  // False once a remote object's session has ended; a local object is always alive.
  [[nodiscard]] virtual bool is_alive() const = 0;

  // Remote objects: `recipient` runs when the session ends; kDeadObject if it has ended already. kInvalidOperation for local
  // objects, which cannot die before their users. Returns a cookie for unlink_to_death(), which is false if the recipient runs or
  // has run.
  virtual Reply<uint64_t> link_to_death(DeathRecipient recipient) = 0;
  virtual bool unlink_to_death(uint64_t cookie) = 0;

  // The object itself if it is local.
  virtual LocalBinder* local() { return nullptr; }

  Status ping();
};

// The base of generated stubs: an object that lives here.
class LocalBinder : public Binder {
 public:
  // Runs on a thread of the session that the call came in on, or on the caller's if that is in this process. `data` stands at its
  // start, interface token included. A failure is a transport error; exceptions are written to `reply` (write_status()).
  virtual Status on_transact(uint32_t code, const Parcel& data, Parcel* reply, uint32_t flags) = 0;

  // Answers the special codes; passes the others to on_transact(). A same-process call takes the same road as a remote one.
  Status transact(uint32_t code, const Parcel& data, Parcel* reply, uint32_t flags = 0) final;
  [[nodiscard]] bool is_alive() const final { return true; }
  Reply<uint64_t> link_to_death(DeathRecipient recipient) final;
  bool unlink_to_death(uint64_t cookie) final;
  LocalBinder* local() final { return this; }

  // The AIDL name of a method; empty for codes that are none, and for objects without generated code. Lives as long as the
  // program.
  [[nodiscard]] virtual std::string_view method_name(uint32_t code) const;

  // Writes what `dumpsys` shows for AIDL services; nothing unless overridden.
  virtual Status dump(int fd, const std::vector<std::string>& arguments);

  // A further interface of the same object for kExtension.
  void set_extension(std::shared_ptr<Binder> extension);
  std::shared_ptr<Binder> extension() const;

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<Binder> extension_;  // guarded by mutex_
};

// The base of generated interfaces: `IFoo`, of which the stub is at once an IFoo and a LocalBinder, the proxy an IFoo with a
// binder inside.
class Interface {
 public:
  virtual ~Interface() = default;
  // The object to put into a parcel.
  virtual std::shared_ptr<Binder> as_binder() = 0;
};

// Who the call that this thread is serving came from; nothing outside of a call. See rpc/session.h for its fields.
struct Caller {
  uint64_t session = 0;       // unique in this process, 0: a call of this process itself
  uint32_t uid = UINT32_MAX;  // SO_PEERCRED of a Unix socket; UINT32_MAX: unknown
  uint32_t gid = UINT32_MAX;
  int32_t pid = -1;
  uint32_t vsock_cid = UINT32_MAX;
};
[[nodiscard]] const Caller* current_caller();

// For the session: sets current_caller() for its life time.
class CallerScope {
 public:
  explicit CallerScope(const Caller& caller);
  ~CallerScope();
  CallerScope(const CallerScope&) = delete;
  CallerScope& operator=(const CallerScope&) = delete;

 private:
  const Caller* previous_;
};

}  // namespace adyton::rpc

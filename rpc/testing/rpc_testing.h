// A service and a server for tests of sessions.
#pragma once
#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "rpc/parcel.h"
#include "rpc/server.h"
#include "rpc/session.h"

namespace adyton::rpc::testing {

class TestService final : public LocalBinder {
 public:
  enum Code : uint32_t {
    kAdd = kFirstCall,
    kRepeat,
    kMakeObject,
    kGetObject,
    kForget,
    kEcho,
    kIsLocal,
    kRecurse,
    kKeep,
    kFail,
    kNote,
    kReadFd,
    kSendFd,
    kReverse,
    kBlock,
    kCaller,
  };

  TestService();
  ~TestService() override;

  std::string interface_descriptor() override { return "adyton.test.ITest"; }
  Status on_transact(uint32_t code, const Parcel& data, Parcel* reply, uint32_t flags) override;

  // How many there are in this process.
  static int alive() { return alive_; }
  [[nodiscard]] int calls() const { return calls_; }
  // Calls what kKeep brought, on a thread that serves no call.
  Status call_kept_from_elsewhere();
  std::shared_ptr<Binder> kept();
  // Lets go of what kKeep brought and kMakeObject made.
  void forget_all();
  // What kNote brought so far; waits until there are `count`.
  std::vector<int32_t> wait_for_notes(size_t count);
  // kBlock waits for this.
  void unblock();
  // Waits until kBlock has begun.
  void wait_until_blocked();

 private:
  static std::atomic<int> alive_;
  std::atomic<int> calls_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, std::shared_ptr<Binder>> objects_;
  std::shared_ptr<Binder> kept_;
  std::vector<int32_t> notes_;
  int blocked_ = 0;
  bool unblocked_ = false;
};

int32_t call_add(const std::shared_ptr<Binder>& binder, int32_t a, int32_t b);  // INT32_MIN if it fails
std::string call_repeat(const std::shared_ptr<Binder>& binder, std::string_view text, int32_t times);
std::shared_ptr<Binder> call_make_object(const std::shared_ptr<Binder>& binder, std::string_view name);
std::shared_ptr<Binder> call_get_object(const std::shared_ptr<Binder>& binder, std::string_view name);
void call_forget(const std::shared_ptr<Binder>& binder, std::string_view name);
std::shared_ptr<Binder> call_echo(const std::shared_ptr<Binder>& binder, const std::shared_ptr<Binder>& object);
bool call_is_local(const std::shared_ptr<Binder>& binder, const std::shared_ptr<Binder>& object);
// Has `binder` call `other` with itself, and so on, `depth` times; returns how deep it went, -1 if it fails.
int32_t call_recurse(const std::shared_ptr<Binder>& binder, const std::shared_ptr<Binder>& other, int32_t depth);
Status call_keep(const std::shared_ptr<Binder>& binder, const std::shared_ptr<Binder>& object);
Status call_fail(const std::shared_ptr<Binder>& binder);
Status call_note(const std::shared_ptr<Binder>& binder, int32_t number);
Status call_block(const std::shared_ptr<Binder>& binder);
// Sends the reading end of a pipe that `text` is in; what the other side read there, or the error's name.
std::string call_read_fd(const std::shared_ptr<Binder>& binder, std::string_view text);

// A server with a TestService as its root, at an abstract Unix address.
struct Harness {
  explicit Harness(ServerOptions options = {});
  ~Harness();
  std::shared_ptr<Session> connect(SessionOptions options = {});
  Result<std::shared_ptr<Session>> try_connect(SessionOptions options = {});

  std::shared_ptr<TestService> root = std::make_shared<TestService>();
  UnixAddress address;
  Server server;
};

// Polls, for states that nobody announces.
void wait_until(const std::function<bool()>& condition);

size_t count_fds();
size_t count_threads();

}  // namespace adyton::rpc::testing

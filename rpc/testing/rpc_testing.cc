#include "rpc/testing/rpc_testing.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <thread>
#include <utility>

namespace adyton::rpc::testing {

std::atomic<int> TestService::alive_ = 0;

TestService::TestService() { ++alive_; }
TestService::~TestService() { --alive_; }

// Within on_transact() only: a failed read is the call's failure.
#define READ(expression)                                     \
  __extension__({                                            \
    auto read_result = (expression);                         \
    if (!read_result) return std::move(read_result).error(); \
    std::move(read_result).value();                          \
  })

Status TestService::on_transact(uint32_t code, const Parcel& data, Parcel* reply, uint32_t) {
  ++calls_;
  switch (code) {
    case kAdd: {
      const int32_t a = READ(data.read_int32());
      const int32_t b = READ(data.read_int32());
      reply->write_int32(a + b);
      return Status::ok();
    }
    case kRepeat: {
      const std::string text = READ(data.read_string());
      const int32_t times = READ(data.read_int32());
      if (times > 1000) return Status::from_transport(TransportError::kBadValue);
      std::string repeated;
      for (int32_t i = 0; i < times; ++i) repeated += text;
      return reply->write_string(repeated);
    }
    case kMakeObject: {
      const std::string name = READ(data.read_string());
      auto object = std::make_shared<TestService>();
      const std::lock_guard lock(mutex_);
      objects_[name] = object;
      reply->write_binder(object);
      return Status::ok();
    }
    case kGetObject: {
      const std::string name = READ(data.read_string());
      const std::lock_guard lock(mutex_);
      const auto at = objects_.find(name);
      reply->write_binder(at == objects_.end() ? nullptr : at->second);
      return Status::ok();
    }
    case kForget: {
      const std::string name = READ(data.read_string());
      const std::lock_guard lock(mutex_);
      objects_.erase(name);
      return Status::ok();
    }
    case kEcho: reply->write_binder(READ(data.read_nullable_binder())); return Status::ok();
    case kIsLocal: reply->write_bool(READ(data.read_binder())->local() != nullptr); return Status::ok();
    case kRecurse: {
      const auto other = READ(data.read_binder());
      const int32_t depth = READ(data.read_int32());
      const int32_t below = depth == 0 ? -1 : call_recurse(other, shared_from_this(), depth - 1);
      if (depth != 0 && below < 0) return Status::from_transport(TransportError::kFailedTransaction);
      reply->write_int32(below + 1);
      return Status::ok();
    }
    case kKeep: {
      auto object = READ(data.read_nullable_binder());
      const std::lock_guard lock(mutex_);
      kept_.swap(object);
      return Status::ok();
    }
    case kFail: return Status::from_service_specific(42, "as asked");
    case kNote: {
      const int32_t number = READ(data.read_int32());
      const std::lock_guard lock(mutex_);
      notes_.push_back(number);
      changed_.notify_all();
      return Status::ok();
    }
    case kReadFd: {
      const UniqueFd fd = READ(data.read_fd());
      std::array<char, 64> text{};
      const ssize_t size = ::read(fd.get(), text.data(), text.size());
      return reply->write_string(std::string_view(text.data(), size < 0 ? 0 : static_cast<size_t>(size)));
    }
    case kSendFd: {
      const std::string text = READ(data.read_string());
      std::array<int, 2> pipe{};
      if (::pipe2(pipe.data(), O_CLOEXEC) != 0) return Status::from_transport(TransportError::kNoMemory);
      const UniqueFd reader(pipe[0]);
      const UniqueFd writer(pipe[1]);
      if (::write(writer.get(), text.data(), text.size()) < 0) return Status::from_transport(TransportError::kUnknownError);
      return reply->write_fd(reader.get());
    }
    case kReverse: {
      auto bytes = READ(data.read_vector<uint8_t>());
      std::ranges::reverse(bytes);
      reply->write_vector(std::span<const uint8_t>(bytes));
      return Status::ok();
    }
    case kBlock: {
      std::unique_lock lock(mutex_);
      ++blocked_;
      changed_.notify_all();
      changed_.wait(lock, [this] { return unblocked_; });
      --blocked_;
      return Status::ok();
    }
    case kCaller: {
      const Caller* caller = current_caller();
      reply->write_uint64(caller ? caller->session : 0);
      reply->write_uint32(caller ? caller->uid : 0);
      reply->write_int32(caller ? caller->pid : 0);
      return Status::ok();
    }
    default: return Status::from_transport(TransportError::kUnknownTransaction);
  }
}

#undef READ

Status TestService::call_kept_from_elsewhere() {
  std::shared_ptr<Binder> kept;
  {
    const std::lock_guard lock(mutex_);
    kept = kept_;
  }
  Status status = Status::from_transport(TransportError::kUnexpectedNull);
  if (!kept) return status;
  Parcel data;
  data.write_int32(1);
  data.write_int32(2);
  std::thread([&] {
    Parcel reply;
    status = kept->transact(kAdd, data, &reply);
  }).join();
  return status;
}

std::shared_ptr<Binder> TestService::kept() {
  const std::lock_guard lock(mutex_);
  return kept_;
}

void TestService::forget_all() {
  std::map<std::string, std::shared_ptr<Binder>> objects;
  std::shared_ptr<Binder> kept;
  const std::lock_guard lock(mutex_);
  objects.swap(objects_);
  kept.swap(kept_);
}

std::vector<int32_t> TestService::wait_for_notes(size_t count) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, std::chrono::seconds(60), [&] { return notes_.size() >= count; });
  return notes_;
}

void TestService::unblock() {
  const std::lock_guard lock(mutex_);
  unblocked_ = true;
  changed_.notify_all();
}

void TestService::wait_until_blocked() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return blocked_ > 0; });
}

int32_t call_add(const std::shared_ptr<Binder>& binder, int32_t a, int32_t b) {
  Parcel data, reply;
  data.write_int32(a);
  data.write_int32(b);
  if (!binder->transact(TestService::kAdd, data, &reply).is_ok()) return INT32_MIN;
  return reply.read_int32().value_or(INT32_MIN);
}

std::string call_repeat(const std::shared_ptr<Binder>& binder, std::string_view text, int32_t times) {
  Parcel data, reply;
  EXPECT_TRUE(data.write_string(text).is_ok());
  data.write_int32(times);
  if (Status status = binder->transact(TestService::kRepeat, data, &reply); !status.is_ok()) return status.to_string();
  return reply.read_string().value_or("nothing");
}

namespace {

std::shared_ptr<Binder> call_by_name(const std::shared_ptr<Binder>& binder, uint32_t code, std::string_view name) {
  Parcel data, reply;
  EXPECT_TRUE(data.write_string(name).is_ok());
  const Status status = binder->transact(code, data, &reply);
  EXPECT_TRUE(status.is_ok()) << status.to_string();
  return code == TestService::kForget ? nullptr : reply.read_nullable_binder().value_or(nullptr);
}

}  // namespace

std::shared_ptr<Binder> call_make_object(const std::shared_ptr<Binder>& binder, std::string_view name) {
  return call_by_name(binder, TestService::kMakeObject, name);
}
std::shared_ptr<Binder> call_get_object(const std::shared_ptr<Binder>& binder, std::string_view name) {
  return call_by_name(binder, TestService::kGetObject, name);
}
void call_forget(const std::shared_ptr<Binder>& binder, std::string_view name) {
  call_by_name(binder, TestService::kForget, name);
}

std::shared_ptr<Binder> call_echo(const std::shared_ptr<Binder>& binder, const std::shared_ptr<Binder>& object) {
  Parcel data, reply;
  data.write_binder(object);
  const Status status = binder->transact(TestService::kEcho, data, &reply);
  EXPECT_TRUE(status.is_ok()) << status.to_string();
  return reply.read_nullable_binder().value_or(nullptr);
}

bool call_is_local(const std::shared_ptr<Binder>& binder, const std::shared_ptr<Binder>& object) {
  Parcel data, reply;
  data.write_binder(object);
  const Status status = binder->transact(TestService::kIsLocal, data, &reply);
  EXPECT_TRUE(status.is_ok()) << status.to_string();
  return reply.read_bool().value_or(false);
}

int32_t call_recurse(const std::shared_ptr<Binder>& binder, const std::shared_ptr<Binder>& other, int32_t depth) {
  Parcel data, reply;
  data.write_binder(other);
  data.write_int32(depth);
  if (!binder->transact(TestService::kRecurse, data, &reply).is_ok()) return -1;
  return reply.read_int32().value_or(-1);
}

Status call_keep(const std::shared_ptr<Binder>& binder, const std::shared_ptr<Binder>& object) {
  Parcel data, reply;
  data.write_binder(object);
  return binder->transact(TestService::kKeep, data, &reply);
}

Status call_fail(const std::shared_ptr<Binder>& binder) {
  Parcel reply;
  if (Status status = binder->transact(TestService::kFail, Parcel(), &reply); !status.is_ok()) return status;
  auto status = reply.read_status();
  return status ? *status : status.error();
}

Status call_note(const std::shared_ptr<Binder>& binder, int32_t number) {
  Parcel data;
  data.write_int32(number);
  return binder->transact(TestService::kNote, data, nullptr, kOneway);
}

Status call_block(const std::shared_ptr<Binder>& binder) {
  Parcel reply;
  return binder->transact(TestService::kBlock, Parcel(), &reply);
}

std::string call_read_fd(const std::shared_ptr<Binder>& binder, std::string_view text) {
  std::array<int, 2> pipe{};
  if (::pipe2(pipe.data(), O_CLOEXEC) != 0) return "no pipe";
  const UniqueFd reader(pipe[0]);
  UniqueFd writer(pipe[1]);
  if (::write(writer.get(), text.data(), text.size()) < 0) return "cannot write";
  writer.reset();
  Parcel data, reply;
  if (Status status = data.write_fd(reader.get()); !status.is_ok()) return status.to_string();
  const Status status = binder->transact(TestService::kReadFd, data, &reply);
  if (!status.is_ok()) return std::string(to_string(status.transport_error()));
  return reply.read_string().value_or("nothing");
}

namespace {

UnixAddress unique_address() {
  static std::atomic<int> last = 0;
  return {"@adyton-rpc-test-" + std::to_string(::getpid()) + "-" + std::to_string(++last)};
}

}  // namespace

Harness::Harness(ServerOptions options) : address(unique_address()), server(options) {
  server.set_root(root);
  auto socket = listen_on(address);
  EXPECT_TRUE(socket) << (socket ? "" : socket.error().message);
  if (!socket) return;
  const auto served = server.serve(std::move(*socket));
  EXPECT_TRUE(served);
}

Harness::~Harness() {
  root->unblock();
  server.shutdown();
  // Nobody else may keep it.
  EXPECT_LE(root.use_count(), 2);
}

Result<std::shared_ptr<Session>> Harness::try_connect(SessionOptions options) { return Session::connect(address, options); }

std::shared_ptr<Session> Harness::connect(SessionOptions options) {
  auto session = try_connect(options);
  EXPECT_TRUE(session) << (session ? "" : session.error().message);
  return session ? *session : nullptr;
}

void wait_until(const std::function<bool()>& condition) {
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > limit) {
      ADD_FAILURE() << "the condition does not come true";
      return;
    }
    std::this_thread::yield();
  }
}

namespace {

size_t count_entries(const char* directory) {
  size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    static_cast<void>(entry);
    ++count;
  }
  return count;
}

}  // namespace

size_t count_fds() { return count_entries("/proc/self/fd"); }
size_t count_threads() { return count_entries("/proc/self/task"); }

}  // namespace adyton::rpc::testing

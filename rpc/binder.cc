#include "rpc/binder.h"

#include <cxxabi.h>
#include <unistd.h>

#include <exception>
#include <optional>
#include <utility>

#include "rpc/parcel.h"

namespace adyton::rpc {

namespace {

thread_local const Caller* caller_of_this_thread = nullptr;

Caller this_process() { return {.session = 0, .uid = ::getuid(), .gid = ::getgid(), .pid = ::getpid()}; }

// A descriptor, then the count of arguments and each as a String16 (BBinder::onTransact).
Status on_dump(LocalBinder& binder, const Parcel& data) {
  auto fd = data.read_fd();
  if (!fd) return fd.error();
  const auto count = data.read_count(sizeof(int32_t));
  if (!count) return count.error();
  std::vector<std::string> arguments;
  for (uint32_t i = 0; i < count->value_or(0); ++i) {
    auto argument = data.read_string();
    if (!argument) return argument.error();
    arguments.push_back(std::move(*argument));
  }
  return binder.dump(fd->get(), arguments);
}

// A C++ exception that leaves a method of a service ends that call, not the service: its caller gets it as one of AIDL's.
Status call_safely(LocalBinder& binder, uint32_t code, const Parcel& data, Parcel* reply, uint32_t flags) {
  try {
    return binder.on_transact(code, data, reply, flags);
  } catch (const abi::__forced_unwind&) {
    throw;  // this thread is being cancelled, which must not be stopped
  } catch (const std::exception& exception) {
    return Status::from_exception(Exception::kIllegalState, std::string("uncaught exception: ") + exception.what());
  } catch (...) {
    return Status::from_exception(Exception::kIllegalState, "uncaught exception");
  }
}

}  // namespace

Status Binder::ping() {
  Parcel reply;
  return transact(kPing, Parcel(), &reply);
}

std::string_view LocalBinder::method_name(uint32_t) const { return {}; }

Status LocalBinder::transact(uint32_t code, const Parcel& data, Parcel* reply, uint32_t flags) {
  // A call from this process that serves nobody else is served as one of this process itself.
  std::optional<Caller> caller;
  std::optional<CallerScope> scope;
  if (!current_caller()) scope.emplace(caller.emplace(this_process()));

  Parcel answer;
  Status status = data.set_read_position(0);
  switch (code) {
    case kPing: break;
    case kInterface: status = answer.write_string(interface_descriptor()); break;
    case kExtension: answer.write_binder(extension()); break;
    case kDump: status = on_dump(*this, data); break;
    default: status = call_safely(*this, code, data, &answer, flags);
  }
  // A stub that answers an exception as if it were a transport error means the exception.
  if (!status.is_ok() && status.exception() != Exception::kTransactionFailed) {
    answer = Parcel();
    status = answer.write_status(status);
  }
  if (!status.is_ok() || (flags & kOneway) != 0) answer = Parcel();
  static_cast<void>(answer.set_read_position(0));
  if (reply) *reply = std::move(answer);
  return status;
}

Reply<uint64_t> LocalBinder::link_to_death(DeathRecipient) { return fail(TransportError::kInvalidOperation); }

bool LocalBinder::unlink_to_death(uint64_t) { return false; }

Status LocalBinder::dump(int, const std::vector<std::string>&) { return Status::ok(); }

void LocalBinder::set_extension(std::shared_ptr<Binder> extension) {
  const std::lock_guard lock(mutex_);
  extension_.swap(extension);  // the old one goes after the lock
}

std::shared_ptr<Binder> LocalBinder::extension() const {
  const std::lock_guard lock(mutex_);
  return extension_;
}

const Caller* current_caller() { return caller_of_this_thread; }

CallerScope::CallerScope(const Caller& caller) : previous_(std::exchange(caller_of_this_thread, &caller)) {}
CallerScope::~CallerScope() { caller_of_this_thread = previous_; }

}  // namespace adyton::rpc

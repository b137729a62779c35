#include "rpc/binder.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <thread>

#include "rpc/parcelable.h"

namespace adyton::rpc {
namespace {

using testing::ElementsAre;

class Service : public LocalBinder {
 public:
  static constexpr uint32_t kDouble = kFirstCall;
  static constexpr uint32_t kRefuse = kFirstCall + 1;
  static constexpr uint32_t kWhoCalls = kFirstCall + 2;
  static constexpr uint32_t kSayAndFail = kFirstCall + 3;

  std::string interface_descriptor() override { return "test.IService"; }
  Status on_transact(uint32_t code, const Parcel& data, Parcel* reply, uint32_t flags) override {
    last_flags = flags;
    switch (code) {
      case kDouble: {
        int32_t value = 0;
        ADYTON_RPC_TRY(data.check_interface_token("test.IService"));
        ADYTON_RPC_TRY(read(data, &value));
        return write_reply(reply, Reply<int32_t>(2 * value));
      }
      case kRefuse: return Status::from_exception(Exception::kSecurity, "refused");
      case kWhoCalls: callers.push_back(*current_caller()); return write_reply(reply, Reply<>());
      case kSayAndFail: reply->write_int32(1); return Status::from_transport(TransportError::kNoMemory);
      default: return Status::from_transport(TransportError::kUnknownTransaction);
    }
  }
  Status dump(int fd, const std::vector<std::string>& arguments) override {
    dumped = arguments;
    return write(fd, "state", 5) == 5 ? Status::ok() : Status::from_transport(TransportError::kUnknownError);
  }

  // Not adyton::rpc::write.
  static ssize_t write(int fd, const char* text, size_t size) { return ::write(fd, text, size); }

  uint32_t last_flags = 0;
  std::vector<Caller> callers;
  std::vector<std::string> dumped;
};

Parcel arguments(int32_t value) {
  Parcel parcel;
  parcel.write_interface_token("test.IService");
  parcel.write_int32(value);
  return parcel;
}

TEST(LocalBinder, IsCalledInTheSameProcess) {
  const auto service = std::make_shared<Service>();
  EXPECT_TRUE(service->is_alive());
  EXPECT_EQ(service->local(), service.get());
  const Parcel data = arguments(21);
  for (int i = 0; i < 2; ++i) {  // the same parcel serves for any number of calls
    int32_t result = 0;
    ASSERT_TRUE(call(*service, Service::kDouble, data, 0, &result).is_ok());
    EXPECT_EQ(result, 42);
  }
}

TEST(LocalBinder, FailuresLeaveNoReply) {
  Service service;
  Parcel reply;
  reply.write_int32(9);
  EXPECT_EQ(service.transact(Service::kSayAndFail, Parcel(), &reply).transport_error(), TransportError::kNoMemory);
  EXPECT_EQ(reply.bytes().size(), 0u);
  EXPECT_EQ(service.transact(kLastCall, Parcel(), &reply).transport_error(), TransportError::kUnknownTransaction);
  EXPECT_EQ(service.transact(Service::kDouble, Parcel(), &reply).transport_error(), TransportError::kNotEnoughData);
}

TEST(LocalBinder, ExceptionsTravelInTheReply) {
  Service service;
  Parcel reply;
  ASSERT_TRUE(service.transact(Service::kRefuse, Parcel(), &reply).is_ok());
  EXPECT_EQ(reply.read_status(), Status::from_exception(Exception::kSecurity, "refused"));
}

TEST(LocalBinder, OnewayCallsHaveNoReply) {
  Service service;
  Parcel reply;
  ASSERT_TRUE(service.transact(Service::kDouble, arguments(1), &reply, kOneway).is_ok());
  EXPECT_EQ(reply.bytes().size(), 0u);
  EXPECT_EQ(service.last_flags, kOneway);
  EXPECT_TRUE(service.transact(Service::kDouble, arguments(1), nullptr, kOneway).is_ok());
}

TEST(LocalBinder, AnswersTheSpecialCodes) {
  Service service;
  EXPECT_TRUE(service.ping().is_ok());
  Parcel reply;
  ASSERT_TRUE(service.transact(kInterface, Parcel(), &reply).is_ok());
  EXPECT_EQ(reply.read_string(), "test.IService");

  ASSERT_TRUE(service.transact(kExtension, Parcel(), &reply).is_ok());
  EXPECT_EQ(reply.read_nullable_binder(), std::shared_ptr<Binder>());
  const auto extension = std::make_shared<Service>();
  service.set_extension(extension);
  ASSERT_TRUE(service.transact(kExtension, Parcel(), &reply).is_ok());
  EXPECT_EQ(reply.read_binder(), std::shared_ptr<Binder>(extension));
}

TEST(LocalBinder, Dumps) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd reader(ends[0]);
  const UniqueFd writer(ends[1]);
  Service service;
  Parcel data;
  ASSERT_TRUE(write_all(&data, file_descriptor(writer), std::vector<std::string>{"-v", "all"}).is_ok());
  ASSERT_TRUE(service.transact(kDump, data, nullptr).is_ok());
  EXPECT_THAT(service.dumped, ElementsAre("-v", "all"));
  char text[5];
  ASSERT_EQ(::read(reader.get(), text, sizeof(text)), 5);
  EXPECT_EQ(std::string_view(text, sizeof(text)), "state");

  EXPECT_FALSE(service.transact(kDump, Parcel(), nullptr).is_ok());
}

TEST(LocalBinder, DoesNotDie) {
  Service service;
  const auto linked = service.link_to_death([] {});
  ASSERT_FALSE(linked);
  EXPECT_EQ(linked.error().transport_error(), TransportError::kInvalidOperation);
  EXPECT_FALSE(service.unlink_to_death(0));
}

TEST(Caller, IsThisProcessForItsOwnCalls) {
  Service service;
  EXPECT_EQ(current_caller(), nullptr);
  ASSERT_TRUE(service.transact(Service::kWhoCalls, Parcel(), nullptr).is_ok());
  EXPECT_EQ(current_caller(), nullptr);
  ASSERT_EQ(service.callers.size(), 1u);
  EXPECT_EQ(service.callers[0].session, 0u);
  EXPECT_EQ(service.callers[0].pid, getpid());
  EXPECT_EQ(service.callers[0].uid, getuid());
}

// What the call that is served does in this process is done for its caller.
TEST(Caller, IsTheOneBeingServed) {
  Service service;
  const Caller outer{.session = 5, .uid = 1000};
  const Caller inner{.session = 6, .vsock_cid = 3};
  {
    const CallerScope scope(outer);
    {
      const CallerScope nested(inner);
      ASSERT_TRUE(service.transact(Service::kWhoCalls, Parcel(), nullptr).is_ok());
      std::thread([] { EXPECT_EQ(current_caller(), nullptr); }).join();
    }
    ASSERT_TRUE(service.transact(Service::kWhoCalls, Parcel(), nullptr).is_ok());
    EXPECT_EQ(current_caller(), &outer);
  }
  EXPECT_EQ(current_caller(), nullptr);
  ASSERT_EQ(service.callers.size(), 2u);
  EXPECT_EQ(service.callers[0].session, 6u);
  EXPECT_EQ(service.callers[0].vsock_cid, 3u);
  EXPECT_EQ(service.callers[1].uid, 1000u);
}

}  // namespace
}  // namespace adyton::rpc

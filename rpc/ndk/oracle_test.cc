// What Debian's `aidl --lang=ndk`, AOSP's own compiler of Android 10, generates, over our headers and runtime: in this process,
// and through a session.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/socket.h>
#include <unistd.h>

#include <condition_variable>
#include <mutex>

#include "rpc/ndk/bridge.h"
#include "rpc/ndk/oracle_service.h"
#include "rpc/parcelable.h"
#include "rpc/server.h"
#include "rpc/session.h"

namespace adyton::rpc {
namespace {

using aidl::oracle::IEcho;
using aidl::oracle::IListener;
using aidl::oracle::Record;
using ndk::ScopedAStatus;
using ndk::ScopedFileDescriptor;
using ndk::SpAIBinder;
using testing::ElementsAre;

// The service as the caller sees it: itself, or through a session.
class OracleTest : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    if (!GetParam()) {
      echo_ = implementation_;
      return;
    }
    int ends[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    const UniqueFd served(ends[0]);
    auto connecting = std::make_shared<UniqueFd>(ends[1]);
    server_.set_root(binder_of(implementation_->asBinder().get()));
    ASSERT_TRUE(server_.add_bootstrap(UniqueFd(fcntl(served.get(), F_DUPFD_CLOEXEC, 0))));
    auto session = Session::connect(connector_over(connecting), {.incoming_connections = 1, .fd_passing = FdPassing::kUnix});
    ASSERT_TRUE(session) << session.error().message;
    session_ = *session;
    const auto root = session_->root();
    ASSERT_TRUE(root) << root.error().to_string();
    echo_ = IEcho::fromBinder(SpAIBinder(ndk_object_of(*root)));
    ASSERT_TRUE(echo_);
    ASSERT_TRUE(echo_->isRemote());
  }
  void TearDown() override {
    echo_.reset();
    if (session_) session_->shutdown_and_wait();
  }

  template <typename T>
  void expect_back(ScopedAStatus (IEcho::*method)(T, T*), T value) {
    T result{};
    const auto status = ((*echo_).*method)(value, &result);
    EXPECT_TRUE(status.isOk()) << status.getDescription();
    EXPECT_EQ(result, value);
  }
  template <typename T>
  void expect_back(ScopedAStatus (IEcho::*method)(const T&, T*), const T& value) {
    T result{};
    const auto status = ((*echo_).*method)(value, &result);
    EXPECT_TRUE(status.isOk()) << status.getDescription();
    EXPECT_EQ(result, value);
  }

  std::shared_ptr<Echo> implementation_ = ndk::SharedRefBase::make<Echo>();
  Server server_{{.max_threads = 2, .allow_fds = true}};
  std::shared_ptr<Session> session_;
  std::shared_ptr<IEcho> echo_;
};

TEST_P(OracleTest, ValuesComeBack) {
  expect_back(&IEcho::echoBoolean, true);
  expect_back<int8_t>(&IEcho::echoByte, -128);
  expect_back(&IEcho::echoChar, u'\xffff');
  expect_back(&IEcho::echoInt, INT32_MIN);
  expect_back(&IEcho::echoLong, INT64_MIN);
  expect_back(&IEcho::echoFloat, 0.1f);
  expect_back(&IEcho::echoDouble, 0.1);
  expect_back<std::string>(&IEcho::echoString, "Ünïcødé 🦀");
  expect_back<std::string>(&IEcho::echoString, "");
  expect_back<std::optional<std::string>>(&IEcho::echoNullableString, std::nullopt);
  expect_back<std::optional<std::string>>(&IEcho::echoNullableString, "there");
}

TEST_P(OracleTest, ArraysComeBack) {
  expect_back<std::vector<bool>>(&IEcho::echoBooleans, {true, false, true});
  expect_back<std::vector<int8_t>>(&IEcho::echoBytes, {1, -2, 3});
  expect_back<std::vector<char16_t>>(&IEcho::echoChars, {u'a', u'\0'});
  expect_back<std::vector<int32_t>>(&IEcho::echoInts, {1, -2});
  expect_back<std::vector<int32_t>>(&IEcho::echoInts, {});
  expect_back<std::optional<std::vector<int32_t>>>(&IEcho::echoNullableInts, std::nullopt);
  expect_back<std::optional<std::vector<int32_t>>>(&IEcho::echoNullableInts, {{1, 2}});
  expect_back<std::vector<int64_t>>(&IEcho::echoLongs, {INT64_MAX});
  expect_back<std::vector<float>>(&IEcho::echoFloats, {0.5f});
  expect_back<std::vector<double>>(&IEcho::echoDoubles, {0.5});
  expect_back<std::vector<std::string>>(&IEcho::echoStrings, {"a", "", "b"});
  expect_back<std::optional<std::vector<std::optional<std::string>>>>(&IEcho::echoNullableStrings, std::nullopt);
  expect_back<std::optional<std::vector<std::optional<std::string>>>>(&IEcho::echoNullableStrings, {{std::nullopt, "x"}});
}

TEST_P(OracleTest, RecordsComeBack) {
  const auto listener = ndk::SharedRefBase::make<Listener>();
  Record value;
  EXPECT_EQ(value.number, 5);
  EXPECT_TRUE(value.flag);
  value.number = 6;
  value.name = "six";
  value.nickname = "VI";
  value.numbers = {1, 2};
  value.words = {"a"};
  value.object = listener->asBinder();
  value.file = ScopedFileDescriptor(open("/dev/null", O_RDONLY | O_CLOEXEC));
  value.flag = false;
  Record changed;
  Record filled;
  Record result;
  const auto status = echo_->echoRecord(value, &changed, &filled, &result);
  ASSERT_TRUE(status.isOk()) << status.getDescription();
  EXPECT_EQ(changed.number, -5);
  EXPECT_EQ(filled.name, "filled");
  EXPECT_EQ(result.number, 6);
  EXPECT_EQ(result.name, "six");
  EXPECT_EQ(result.nickname, "VI");
  EXPECT_THAT(result.numbers, ElementsAre(1, 2));
  EXPECT_THAT(result.words, ElementsAre("a"));
  EXPECT_EQ(result.object, value.object) << "an object that comes home is itself";
  ASSERT_GE(result.file.get(), 0);
  EXPECT_EQ(inode(result.file.get()), inode(value.file.get()));
  EXPECT_FALSE(result.flag);
}

TEST_P(OracleTest, ObjectsComeBack) {
  const auto listener = ndk::SharedRefBase::make<Listener>();
  const SpAIBinder binder = listener->asBinder();
  EXPECT_EQ(listener->asBinder(), binder);
  SpAIBinder result;
  ASSERT_TRUE(echo_->echoBinder(binder, &result).isOk());
  EXPECT_EQ(result, binder);
  ASSERT_TRUE(echo_->echoNullableBinder(SpAIBinder(), &result).isOk());
  EXPECT_EQ(result, nullptr);
  if (GetParam()) { EXPECT_EQ(echo_->echoBinder(SpAIBinder(), &result).getStatus(), STATUS_UNEXPECTED_NULL); }
  std::shared_ptr<IListener> same;
  ASSERT_TRUE(echo_->echoListener(listener, &same).isOk());
  EXPECT_EQ(same, listener);
}

TEST_P(OracleTest, FilesComeBack) {
  const ScopedFileDescriptor null(open("/dev/null", O_RDONLY | O_CLOEXEC));
  ScopedFileDescriptor result;
  const auto status = echo_->echoFile(null, &result);
  ASSERT_TRUE(status.isOk()) << status.getDescription();
  ASSERT_GE(result.get(), 0);
  EXPECT_NE(result.get(), null.get());
  EXPECT_EQ(inode(result.get()), inode(null.get()));
}

TEST_P(OracleTest, OutArraysAreFilled) {
  std::vector<int32_t> numbers(3);
  std::vector<std::string> words(2);
  ASSERT_TRUE(echo_->fill(&numbers, &words).isOk());
  EXPECT_THAT(numbers, ElementsAre(7, 7, 7));
  EXPECT_THAT(words, ElementsAre("word", "word"));
}

TEST_P(OracleTest, ExceptionsComeBack) {
  const auto security = echo_->fail(EX_SECURITY, "no entry");
  EXPECT_EQ(security.getExceptionCode(), EX_SECURITY);
  EXPECT_STREQ(security.getMessage(), "no entry");
  const auto service = echo_->fail(99, "ninety-nine");
  EXPECT_EQ(service.getExceptionCode(), EX_SERVICE_SPECIFIC);
  EXPECT_EQ(service.getServiceSpecificError(), 99);
  EXPECT_STREQ(service.getMessage(), "ninety-nine");
}

TEST_P(OracleTest, CallbacksArrive) {
  const auto listener = ndk::SharedRefBase::make<Listener>();
  for (const char* text : {"one", "two", "three"}) ASSERT_TRUE(echo_->tell(listener, text).isOk());
  EXPECT_THAT(listener->wait_for(3), ElementsAre("one", "two", "three"));
}

TEST_P(OracleTest, KnowsItsInterface) {
  EXPECT_EQ(IEcho::ANSWER, 42);
  EXPECT_STREQ(IEcho::GREETING, "hello");
  EXPECT_STREQ(IEcho::descriptor, "oracle.IEcho");
  int32_t version = 0;
  ASSERT_TRUE(echo_->getInterfaceVersion(&version).isOk());
  EXPECT_EQ(version, 2);
  EXPECT_FALSE(IListener::fromBinder(echo_->asBinder())) << "it is no listener";
  EXPECT_EQ(IEcho::fromBinder(echo_->asBinder())->isRemote(), GetParam());
}

TEST_P(OracleTest, DeathIsTold) {
  if (!GetParam()) return;
  static std::mutex mutex;
  static std::condition_variable changed;
  static bool died;
  died = false;
  const ndk::ScopedAIBinder_DeathRecipient recipient(AIBinder_DeathRecipient_new([](void*) {
    const std::lock_guard lock(mutex);
    died = true;
    changed.notify_all();
  }));
  ASSERT_EQ(AIBinder_linkToDeath(echo_->asBinder().get(), recipient.get(), nullptr), STATUS_OK);
  server_.shutdown();
  {
    std::unique_lock lock(mutex);
    changed.wait(lock, [] { return died; });
  }
  EXPECT_FALSE(AIBinder_isAlive(echo_->asBinder().get()));
  int32_t result = 0;
  EXPECT_EQ(echo_->echoInt(1, &result).getStatus(), STATUS_DEAD_OBJECT);
}

INSTANTIATE_TEST_SUITE_P(Road, OracleTest, testing::Bool(),
                         [](const testing::TestParamInfo<bool>& road) { return road.param ? "Session" : "SameProcess"; });

}  // namespace
}  // namespace adyton::rpc

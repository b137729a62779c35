// Two compilers at the two ends of a call: what Debian's aidl, AOSP's own, generates talks to what aidlc generates, either way. A
// mistake about the layout of parcels that both of our back ends share shows here and nowhere else.
#include <fcntl.h>
#include <gmock/gmock.h>

#include "oracle/IEcho.h"
#include "oracle/IListener.h"
#include "oracle/Record.h"
#include "rpc/ndk/bridge.h"
#include "rpc/ndk/oracle_service.h"

namespace adyton::rpc {
namespace {

using ::testing::ElementsAre;
namespace ours = ::oracle;
namespace theirs = ::aidl::oracle;
template <typename T>
using Nullable = std::optional<T>;

// Ours.
class EchoOfOurs : public ours::IEchoStub {
 public:
  using ListenerPointer = std::shared_ptr<ours::IListener>;
  using BinderPointer = std::shared_ptr<Binder>;

  Reply<bool> echoBoolean(bool value) override { return value; }
  Reply<int8_t> echoByte(int8_t value) override { return value; }
  Reply<char16_t> echoChar(char16_t value) override { return value; }
  Reply<int32_t> echoInt(int32_t value) override { return value; }
  Reply<int64_t> echoLong(int64_t value) override { return value; }
  Reply<float> echoFloat(float value) override { return value; }
  Reply<double> echoDouble(double value) override { return value; }
  Reply<std::string> echoString(const std::string& value) override { return value; }
  Reply<Nullable<std::string>> echoNullableString(const Nullable<std::string>& value) override { return value; }
  Reply<std::vector<bool>> echoBooleans(const std::vector<bool>& value) override { return value; }
  Reply<std::vector<uint8_t>> echoBytes(std::span<const uint8_t> value) override { return copy(value); }
  Reply<std::vector<char16_t>> echoChars(std::span<const char16_t> value) override { return copy(value); }
  Reply<std::vector<int32_t>> echoInts(std::span<const int32_t> value) override { return copy(value); }
  Reply<Nullable<std::vector<int32_t>>> echoNullableInts(const Nullable<std::vector<int32_t>>& value) override { return value; }
  Reply<std::vector<int64_t>> echoLongs(std::span<const int64_t> value) override { return copy(value); }
  Reply<std::vector<float>> echoFloats(std::span<const float> value) override { return copy(value); }
  Reply<std::vector<double>> echoDoubles(std::span<const double> value) override { return copy(value); }
  Reply<std::vector<std::string>> echoStrings(const std::vector<std::string>& value) override { return value; }
  Reply<Nullable<std::vector<Nullable<std::string>>>> echoNullableStrings(
      const Nullable<std::vector<Nullable<std::string>>>& value) override {
    return value;
  }
  Reply<ours::Record> echoRecord(const ours::Record& value, ours::Record* changed, ours::Record* filled) override {
    changed->number = -changed->number;
    changed->object = nullptr;
    filled->name = "filled";
    return copy(value);
  }
  Reply<BinderPointer> echoBinder(const BinderPointer& value) override { return value; }
  Reply<BinderPointer> echoNullableBinder(const BinderPointer& value) override { return value; }
  Reply<ListenerPointer> echoListener(const ListenerPointer& value) override { return value; }
  Reply<UniqueFd> echoFile(const UniqueFd& value) override { return copy(value); }
  Reply<std::string> echoUtf8(const std::string& value) override { return value; }
  Reply<Nullable<std::vector<bool>>> echoNullableBooleans(const Nullable<std::vector<bool>>& value) override { return value; }
  Reply<ListenerPointer> echoNullableListener(const ListenerPointer& value) override { return value; }
  Reply<Nullable<UniqueFd>> echoNullableFile(const Nullable<UniqueFd>& value) override {
    if (!value) return std::nullopt;
    return copy(*value);
  }
  Reply<> change(std::vector<int32_t>* numbers, std::vector<std::string>* words, std::vector<bool>* flags) override {
    for (int32_t& number : *numbers) number *= 2;
    words->push_back("one more");
    flags->assign(flags->size(), true);
    return {};
  }
  Reply<> fill(std::vector<int32_t>* numbers, std::vector<std::string>* words) override {
    for (int32_t& number : *numbers) number = 7;
    for (std::string& word : *words) word = "word";
    return {};
  }
  Reply<> fail(int32_t exception, const std::string& message) override {
    if (exception > 0) return std::unexpected(Status::from_service_specific(exception, message));
    return std::unexpected(Status::from_exception(static_cast<Exception>(exception), message));
  }
  Reply<> tell(const ListenerPointer& listener, const std::string& text) override { return listener->heard(text); }

  static UniqueFd copy(const UniqueFd& fd) { return UniqueFd(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0)); }
  static ours::Record copy(const ours::Record& value) {
    ours::Record result;
    result.number = value.number;
    result.name = value.name;
    result.nickname = value.nickname;
    result.numbers = value.numbers;
    result.words = value.words;
    result.object = value.object;
    if (value.file) result.file = copy(*value.file);
    result.flag = value.flag;
    return result;
  }
  template <typename T>
  static std::vector<T> copy(std::span<const T> values) {
    return {values.begin(), values.end()};
  }
};

class ListenerOfOurs : public ours::IListenerStub {
 public:
  Reply<> heard(const std::string& text) override {
    texts.push_back(text);
    return {};
  }
  std::vector<std::string> texts;
};

constexpr char kText[] = "\xc3\x9cn\xc3\xaf \xf0\x9f\xa6\x80";

// Our proxy, their stub.
TEST(OraclePeerTest, TheirServiceUnderstandsUs) {
  const auto service = ndk::SharedRefBase::make<Echo>();
  const auto echo = ours::IEcho::from_binder(binder_of(service->asBinder().get()));
  ASSERT_NE(echo, nullptr);
  ASSERT_EQ(std::dynamic_pointer_cast<ours::IEchoStub>(echo), nullptr) << "a proxy is what is tested";
  EXPECT_EQ(echo->echoBoolean(true).value(), true);
  EXPECT_EQ(echo->echoByte(-128).value(), -128);
  EXPECT_EQ(echo->echoChar(u'\xffff').value(), u'\xffff');
  EXPECT_EQ(echo->echoInt(INT32_MIN).value(), INT32_MIN);
  EXPECT_EQ(echo->echoLong(INT64_MIN).value(), INT64_MIN);
  EXPECT_EQ(echo->echoFloat(0.1f).value(), 0.1f);
  EXPECT_EQ(echo->echoDouble(0.1).value(), 0.1);
  for (const std::string text : {"", "odd", "even", kText}) {
    EXPECT_EQ(echo->echoString(text).value(), text);
    EXPECT_EQ(echo->echoUtf8(text).value(), text);
    EXPECT_EQ(echo->echoNullableString(text).value(), text);
  }
  EXPECT_EQ(echo->echoNullableString(std::nullopt).value(), std::nullopt);
  EXPECT_THAT(echo->echoBooleans({true, false, true}).value(), ElementsAre(true, false, true));
  EXPECT_THAT(echo->echoBytes(std::vector<uint8_t>{1, 254, 3}).value(), ElementsAre(1, 254, 3));
  EXPECT_THAT(echo->echoChars(std::vector<char16_t>{u'a', u'\0'}).value(), ElementsAre(u'a', u'\0'));
  EXPECT_THAT(echo->echoInts(std::vector<int32_t>{1, -2}).value(), ElementsAre(1, -2));
  EXPECT_THAT(echo->echoInts(std::vector<int32_t>{}).value(), ElementsAre());
  EXPECT_EQ(echo->echoNullableInts(std::nullopt).value(), std::nullopt);
  EXPECT_THAT(*echo->echoNullableInts({{1, 2}}).value(), ElementsAre(1, 2));
  EXPECT_EQ(echo->echoNullableBooleans(std::nullopt).value(), std::nullopt);
  EXPECT_THAT(*echo->echoNullableBooleans({{true}}).value(), ElementsAre(true));
  EXPECT_THAT(echo->echoLongs(std::vector<int64_t>{INT64_MAX}).value(), ElementsAre(INT64_MAX));
  EXPECT_THAT(echo->echoFloats(std::vector<float>{0.5f}).value(), ElementsAre(0.5f));
  EXPECT_THAT(echo->echoDoubles(std::vector<double>{0.5}).value(), ElementsAre(0.5));
  EXPECT_THAT(echo->echoStrings({"a", "", "b"}).value(), ElementsAre("a", "", "b"));
  EXPECT_EQ(echo->echoNullableStrings(std::nullopt).value(), std::nullopt);
  EXPECT_THAT(*echo->echoNullableStrings({{std::nullopt, "x"}}).value(), ElementsAre(std::nullopt, "x"));

  const auto listener = std::make_shared<ListenerOfOurs>();
  ours::Record value;
  value.number = 6;
  value.name = "six";
  value.nickname = "VI";
  value.numbers = {1, 2};
  value.words = {"a"};
  value.object = listener;
  value.file = UniqueFd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  value.flag = false;
  ours::Record changed;
  ours::Record filled;
  const ours::Record result = echo->echoRecord(value, &changed, &filled).value();
  EXPECT_EQ(result.number, 6);
  EXPECT_EQ(result.name, "six");
  EXPECT_EQ(result.nickname, "VI");
  EXPECT_THAT(result.numbers, ElementsAre(1, 2));
  EXPECT_THAT(result.words, ElementsAre("a"));
  EXPECT_EQ(result.object, value.object);
  ASSERT_TRUE(result.file);
  EXPECT_EQ(inode(result.file->get()), inode(value.file->get()));
  EXPECT_FALSE(result.flag);
  EXPECT_EQ(changed.number, -5);
  EXPECT_EQ(filled.name, "filled");
  const ours::Record plain = echo->echoRecord(ours::Record(), &changed, &filled).value();
  EXPECT_EQ(plain.number, 5);
  EXPECT_EQ(plain.nickname, std::nullopt);
  EXPECT_FALSE(plain.file);

  EXPECT_EQ(echo->echoBinder(listener).value(), listener);
  EXPECT_EQ(echo->echoNullableBinder(nullptr).value(), nullptr);
  EXPECT_EQ(echo->echoListener(listener).value(), listener);
  EXPECT_EQ(echo->echoNullableListener(listener).value(), listener);
  EXPECT_EQ(echo->echoNullableListener(nullptr).value(), nullptr);
  EXPECT_EQ(inode(echo->echoFile(*value.file).value().get()), inode(value.file->get()));
  EXPECT_FALSE(echo->echoNullableFile(std::nullopt).value());
  const ino_t expected = inode(value.file->get());
  EXPECT_EQ(inode(echo->echoNullableFile(std::move(value.file)).value()->get()), expected);

  std::vector<int32_t> numbers{1, 2};
  std::vector<std::string> words{"one"};
  std::vector<bool> flags(3);
  ASSERT_TRUE(echo->change(&numbers, &words, &flags));
  EXPECT_THAT(numbers, ElementsAre(2, 4));
  EXPECT_THAT(words, ElementsAre("one", "one more"));
  EXPECT_THAT(flags, ElementsAre(true, true, true));
  ASSERT_TRUE(echo->fill(&numbers, &words));
  EXPECT_THAT(numbers, ElementsAre(7, 7));
  EXPECT_THAT(words, ElementsAre("word", "word"));

  const Status security = echo->fail(EX_SECURITY, "no entry").error();
  EXPECT_EQ(security.exception(), Exception::kSecurity);
  EXPECT_EQ(security.message(), "no entry");
  EXPECT_EQ(echo->fail(99, "").error().service_specific_code(), 99);
  ASSERT_TRUE(echo->tell(listener, kText));
  EXPECT_THAT(listener->texts, ElementsAre(kText));
  EXPECT_EQ(echo->getInterfaceVersion().value(), 2);
}

template <typename T>
void expect_back(theirs::IEcho& echo, ScopedAStatus (theirs::IEcho::*method)(T, T*), const std::type_identity_t<T>& value) {
  T result{};
  const auto status = (echo.*method)(value, &result);
  EXPECT_TRUE(status.isOk()) << status.getDescription();
  EXPECT_EQ(result, value);
}
template <typename T>
void expect_back(theirs::IEcho& echo, ScopedAStatus (theirs::IEcho::*method)(const T&, T*),
                 const std::type_identity_t<T>& value) {
  T result{};
  const auto status = (echo.*method)(value, &result);
  EXPECT_TRUE(status.isOk()) << status.getDescription();
  EXPECT_EQ(result, value);
}

// Their proxy, our stub.
TEST(OraclePeerTest, OurServiceUnderstandsThem) {
  using theirs::IEcho;
  const auto echo = IEcho::fromBinder(SpAIBinder(ndk_object_of(std::make_shared<EchoOfOurs>())));
  ASSERT_NE(echo, nullptr);
  expect_back(*echo, &IEcho::echoBoolean, true);
  expect_back(*echo, &IEcho::echoByte, -128);
  expect_back(*echo, &IEcho::echoChar, u'\xffff');
  expect_back(*echo, &IEcho::echoInt, INT32_MIN);
  expect_back(*echo, &IEcho::echoLong, INT64_MIN);
  expect_back(*echo, &IEcho::echoFloat, 0.1f);
  expect_back(*echo, &IEcho::echoDouble, 0.1);
  for (const std::string text : {"", "odd", "even", kText}) {
    expect_back(*echo, &IEcho::echoString, text);
    expect_back(*echo, &IEcho::echoUtf8, text);
    expect_back(*echo, &IEcho::echoNullableString, text);
  }
  expect_back(*echo, &IEcho::echoNullableString, std::nullopt);
  expect_back(*echo, &IEcho::echoBooleans, {true, false, true});
  expect_back(*echo, &IEcho::echoBytes, {1, -2, 3});
  expect_back(*echo, &IEcho::echoChars, {u'a', u'\0'});
  expect_back(*echo, &IEcho::echoInts, {1, -2});
  expect_back(*echo, &IEcho::echoInts, {});
  expect_back(*echo, &IEcho::echoNullableInts, std::nullopt);
  expect_back(*echo, &IEcho::echoNullableInts, std::vector{1, 2});
  expect_back(*echo, &IEcho::echoNullableBooleans, std::nullopt);
  expect_back(*echo, &IEcho::echoNullableBooleans, std::vector{true});
  expect_back(*echo, &IEcho::echoLongs, {INT64_MAX});
  expect_back(*echo, &IEcho::echoFloats, {0.5f});
  expect_back(*echo, &IEcho::echoDoubles, {0.5});
  expect_back(*echo, &IEcho::echoStrings, {"a", "", "b"});
  expect_back(*echo, &IEcho::echoNullableStrings, std::nullopt);
  expect_back(*echo, &IEcho::echoNullableStrings, std::vector<std::optional<std::string>>{std::nullopt, "x"});

  const auto listener = ndk::SharedRefBase::make<Listener>();
  theirs::Record value;
  value.number = 6;
  value.name = "six";
  value.nickname = "VI";
  value.numbers = {1, 2};
  value.words = {"a"};
  value.object = listener->asBinder();
  value.file = ScopedFileDescriptor(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  value.flag = false;
  theirs::Record changed;
  theirs::Record filled;
  theirs::Record result;
  ASSERT_TRUE(echo->echoRecord(value, &changed, &filled, &result).isOk());
  EXPECT_EQ(result.number, 6);
  EXPECT_EQ(result.name, "six");
  EXPECT_EQ(result.nickname, "VI");
  EXPECT_THAT(result.numbers, ElementsAre(1, 2));
  EXPECT_THAT(result.words, ElementsAre("a"));
  EXPECT_EQ(result.object, value.object);
  EXPECT_EQ(inode(result.file.get()), inode(value.file.get()));
  EXPECT_FALSE(result.flag);
  EXPECT_EQ(changed.number, -5);
  EXPECT_EQ(filled.name, "filled");
  theirs::Record plain;
  ASSERT_TRUE(echo->echoRecord(theirs::Record(), &changed, &filled, &plain).isOk());
  EXPECT_EQ(plain.number, 5);
  EXPECT_EQ(plain.nickname, std::nullopt);
  EXPECT_EQ(plain.file.get(), -1);

  SpAIBinder object;
  ASSERT_TRUE(echo->echoBinder(listener->asBinder(), &object).isOk());
  EXPECT_EQ(object, listener->asBinder());
  ASSERT_TRUE(echo->echoNullableBinder(SpAIBinder(), &object).isOk());
  EXPECT_EQ(object, nullptr);
  EXPECT_EQ(echo->echoBinder(SpAIBinder(), &object).getStatus(), STATUS_UNEXPECTED_NULL);
  std::shared_ptr<theirs::IListener> heard;
  ASSERT_TRUE(echo->echoListener(listener, &heard).isOk());
  EXPECT_EQ(heard, listener);
  ASSERT_TRUE(echo->echoNullableListener(nullptr, &heard).isOk());
  EXPECT_EQ(heard, nullptr);
  ScopedFileDescriptor file;
  ASSERT_TRUE(echo->echoFile(value.file, &file).isOk());
  EXPECT_EQ(inode(file.get()), inode(value.file.get()));
  ASSERT_TRUE(echo->echoNullableFile(ScopedFileDescriptor(), &file).isOk());
  EXPECT_EQ(file.get(), -1);

  std::vector<int32_t> numbers{1, 2};
  std::vector<std::string> words{"one"};
  std::vector<bool> flags(3);
  ASSERT_TRUE(echo->change(&numbers, &words, &flags).isOk());
  EXPECT_THAT(numbers, ElementsAre(2, 4));
  EXPECT_THAT(words, ElementsAre("one", "one more"));
  EXPECT_THAT(flags, ElementsAre(true, true, true));
  ASSERT_TRUE(echo->fill(&numbers, &words).isOk());
  EXPECT_THAT(numbers, ElementsAre(7, 7));
  EXPECT_THAT(words, ElementsAre("word", "word"));

  const auto security = echo->fail(EX_SECURITY, "no entry");
  EXPECT_EQ(security.getExceptionCode(), EX_SECURITY);
  EXPECT_STREQ(security.getMessage(), "no entry");
  EXPECT_EQ(echo->fail(99, "").getServiceSpecificError(), 99);
  ASSERT_TRUE(echo->tell(listener, kText).isOk());
  EXPECT_THAT(listener->wait_for(1), ElementsAre(kText));
  int32_t version = 0;
  ASSERT_TRUE(echo->getInterfaceVersion(&version).isOk());
  EXPECT_EQ(version, 2);
}

}  // namespace
}  // namespace adyton::rpc

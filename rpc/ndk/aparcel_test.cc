#include "rpc/ndk/aparcel.h"

#include <android/binder_auto_utils.h>
#include <android/binder_enums.h>
#include <android/binder_parcel_utils.h>
#include <android/binder_parcelable_utils.h>
#include <android/binder_to_string.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <algorithm>
#include <random>

#include "rpc/parcelable.h"

namespace test {

enum class Small : int8_t { kA = -1, kB = 2 };
enum class Large : int64_t { kA = INT64_MIN };
[[maybe_unused]] static std::string toString(Small value) { return value == Small::kA ? "A" : "B"; }

// As `aidl --lang=ndk` generates them, and at once as our C++ back end does.
struct Point {
  static constexpr ndk::parcelable_stability_t _aidl_stability = ndk::STABILITY_LOCAL;
  static const char* const descriptor;
  int32_t x = 1;
  std::string name = "p";

  binder_status_t writeToParcel(AParcel* parcel) const {
    if (const auto status = AParcel_writeInt32(parcel, x); status != STATUS_OK) return status;
    return ndk::AParcel_writeData(parcel, name);
  }
  binder_status_t readFromParcel(const AParcel* parcel) {
    if (const auto status = AParcel_readInt32(parcel, &x); status != STATUS_OK) return status;
    return ndk::AParcel_readData(parcel, &name);
  }
  adyton::rpc::Status write_to(adyton::rpc::Parcel* parcel) const { return adyton::rpc::write_all(parcel, x, name); }
  adyton::rpc::Status read_from(const adyton::rpc::Parcel& parcel) { return adyton::rpc::read_all(parcel, &x, &name); }
  [[nodiscard]] std::string toString() const { return "Point{" + std::to_string(x) + "}"; }
  bool operator==(const Point&) const = default;
};
const char* const Point::descriptor = "test.Point";

struct Other : Point {
  static const char* const descriptor;
};
const char* const Other::descriptor = "test.Other";

struct Chain {
  std::unique_ptr<Chain> next;
  binder_status_t writeToParcel(AParcel* parcel) const { return ndk::AParcel_writeNullableData(parcel, next); }
  binder_status_t readFromParcel(const AParcel* parcel) { return ndk::AParcel_readNullableData(parcel, &next); }
};

}  // namespace test

namespace ndk::internal {
template <>
constexpr inline std::array<test::Small, 2> enum_values<test::Small> = {test::Small::kA, test::Small::kB};
}  // namespace ndk::internal

namespace adyton::rpc {
namespace {

using ndk::ScopedAParcel;
using test::Large;
using test::Point;
using test::Small;
using testing::ElementsAre;

std::vector<uint8_t> bytes(const AParcel* parcel) { return {parcel->parcel->bytes().begin(), parcel->parcel->bytes().end()}; }

// Written by the NDK's functions, a value has the bytes that our own give it, and comes back.
template <typename T>
void expect_same_layout(const T& value) {
  const ScopedAParcel parcel(AParcel_create());
  ASSERT_EQ(ndk::AParcel_writeData(parcel.get(), value), STATUS_OK);
  Parcel own;
  ASSERT_TRUE(write(&own, value).is_ok());
  EXPECT_TRUE(std::ranges::equal(bytes(parcel.get()), own.bytes()));

  ASSERT_EQ(AParcel_setDataPosition(parcel.get(), 0), STATUS_OK);
  T back{};
  EXPECT_EQ(ndk::AParcel_readData(parcel.get(), &back), STATUS_OK);
  EXPECT_TRUE(back == value);
  EXPECT_EQ(AParcel_getDataPosition(parcel.get()), AParcel_getDataSize(parcel.get()));

  // Cut anywhere, it is refused.
  const auto whole = bytes(parcel.get());
  for (size_t size = 0; size < whole.size(); ++size) {
    const ScopedAParcel cut(AParcel_create());
    *cut.get()->parcel = Parcel::received({whole.begin(), whole.begin() + static_cast<ptrdiff_t>(size)}, {}, {}, nullptr).value();
    T part{};
    EXPECT_NE(ndk::AParcel_readData(cut.get(), &part), STATUS_OK) << size << " of " << whole.size();
  }
}

TEST(AParcel, EveryTypeIsLaidOutAsByOurOwnCodecs) {
  expect_same_layout(true);
  expect_same_layout<int8_t>(-5);
  expect_same_layout(u'\xabcd');
  expect_same_layout<int32_t>(INT32_MIN);
  expect_same_layout<int64_t>(INT64_MIN);
  expect_same_layout(0.1f);
  expect_same_layout(0.1);
  expect_same_layout(Small::kA);
  expect_same_layout(Large::kA);
  expect_same_layout<std::string>("Ünïcødé");
  expect_same_layout<std::string>("");
  expect_same_layout(Point{3, "three"});
  expect_same_layout(std::vector<bool>{true, false, true});
  expect_same_layout(std::vector<int8_t>{1, -2, 3});
  expect_same_layout(std::vector<uint8_t>{1, 200, 3, 4, 5});
  expect_same_layout(std::vector<char16_t>{u'a', u'\0', u'\xffff'});
  expect_same_layout(std::vector<int32_t>{1, -2});
  expect_same_layout(std::vector<int64_t>{1, -2});
  expect_same_layout(std::vector<uint64_t>{1, UINT64_MAX});
  expect_same_layout(std::vector<float>{1, 0.5});
  expect_same_layout(std::vector<double>{1, 0.5});
  expect_same_layout(std::vector<Small>{Small::kA, Small::kB});
  expect_same_layout(std::vector<Large>{Large::kA});
  expect_same_layout(std::vector<std::string>{"a", "", "b"});
  expect_same_layout(std::vector<Point>{{1, "a"}, {2, "b"}});
  expect_same_layout(std::vector<int32_t>{});
  expect_same_layout(std::vector<Point>{});
  expect_same_layout(std::optional<std::string>());
  expect_same_layout(std::optional<std::string>("x"));
  expect_same_layout(std::optional<Point>());
  expect_same_layout(std::optional(Point{4, "four"}));
  expect_same_layout(std::optional<std::vector<int32_t>>());
  expect_same_layout(std::optional(std::vector<int32_t>{4}));
  expect_same_layout(std::optional(std::vector<std::optional<std::string>>{std::nullopt, "y"}));
  expect_same_layout(std::optional(std::vector<std::optional<Point>>{std::nullopt, Point{}}));
  expect_same_layout(std::array<int32_t, 3>{1, 2, 3});
  expect_same_layout(std::array<std::array<int8_t, 3>, 2>{{{1, 2, 3}, {4, 5, 6}}});
  expect_same_layout(std::array<bool, 2>{true, false});
  expect_same_layout(std::array<std::string, 2>{"a", "b"});
  expect_same_layout(std::optional(std::array<std::array<Point, 1>, 2>{}));
  expect_same_layout(std::optional<std::array<int32_t, 2>>());
}

TEST(AParcel, RandomArraysComeBack) {
  const auto seed = std::random_device()();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937_64 random(seed);
  for (int round = 0; round < 50; ++round) {
    std::vector<int64_t> numbers(random() % 50);
    for (int64_t& number : numbers) number = static_cast<int64_t>(random());
    std::vector<char16_t> characters(random() % 50);
    for (char16_t& character : characters) character = static_cast<char16_t>(random());
    const ScopedAParcel parcel(AParcel_create());
    ASSERT_EQ(ndk::AParcel_writeVector(parcel.get(), numbers), STATUS_OK);
    ASSERT_EQ(ndk::AParcel_writeVector(parcel.get(), characters), STATUS_OK);
    ASSERT_EQ(AParcel_setDataPosition(parcel.get(), 0), STATUS_OK);
    std::vector<int64_t> read_numbers{1};
    std::vector<char16_t> read_characters{1};
    EXPECT_EQ(ndk::AParcel_readVector(parcel.get(), &read_numbers), STATUS_OK);
    EXPECT_EQ(ndk::AParcel_readVector(parcel.get(), &read_characters), STATUS_OK);
    EXPECT_EQ(read_numbers, numbers);
    EXPECT_EQ(read_characters, characters);
  }
}

TEST(AParcel, SizesAreFilledInAfterwards) {
  const ScopedAParcel parcel(AParcel_create());
  ASSERT_EQ(AParcel_writeInt32(parcel.get(), 0), STATUS_OK);
  ASSERT_EQ(ndk::AParcel_writeString(parcel.get(), std::string("ab")), STATUS_OK);
  const int32_t end = AParcel_getDataPosition(parcel.get());
  ASSERT_EQ(AParcel_setDataPosition(parcel.get(), 0), STATUS_OK);
  ASSERT_EQ(AParcel_writeInt32(parcel.get(), end), STATUS_OK);
  EXPECT_EQ(AParcel_getDataSize(parcel.get()), end);
  // A string cannot take the place of another, nor a value stand half at the end.
  EXPECT_EQ(ndk::AParcel_writeString(parcel.get(), std::string("cd")), STATUS_INVALID_OPERATION);
  ASSERT_EQ(AParcel_setDataPosition(parcel.get(), end - 4), STATUS_OK);
  EXPECT_EQ(AParcel_writeInt64(parcel.get(), 1), STATUS_INVALID_OPERATION);
  ASSERT_EQ(AParcel_setDataPosition(parcel.get(), end - 8), STATUS_OK);
  EXPECT_EQ(AParcel_writeInt64(parcel.get(), -1), STATUS_OK);
  EXPECT_EQ(AParcel_getDataPosition(parcel.get()), end);
  EXPECT_EQ(AParcel_setDataPosition(parcel.get(), end + 4), STATUS_BAD_VALUE);
  EXPECT_EQ(AParcel_setDataPosition(parcel.get(), -4), STATUS_BAD_VALUE);
  EXPECT_EQ(AParcel_setDataPosition(parcel.get(), 2), STATUS_BAD_VALUE);
}

TEST(AParcel, NullsAreOnlyWhereTheyMayBe) {
  const ScopedAParcel parcel(AParcel_create());
  EXPECT_EQ(ndk::AParcel_writeData(parcel.get(), ndk::SpAIBinder()), STATUS_UNEXPECTED_NULL);
  EXPECT_EQ(ndk::AParcel_writeData(parcel.get(), ndk::ScopedFileDescriptor()), STATUS_UNEXPECTED_NULL);
  ASSERT_EQ(AParcel_getDataSize(parcel.get()), 0);
  ASSERT_EQ(ndk::AParcel_writeNullableData(parcel.get(), ndk::SpAIBinder()), STATUS_OK);
  ASSERT_EQ(ndk::AParcel_writeNullableData(parcel.get(), ndk::ScopedFileDescriptor()), STATUS_OK);
  ASSERT_EQ(AParcel_writeString(parcel.get(), nullptr, -1), STATUS_OK);
  ASSERT_EQ(AParcel_writeInt32Array(parcel.get(), nullptr, -1), STATUS_OK);
  for (const bool nullable : {true, false}) {
    const auto expected = nullable ? STATUS_OK : STATUS_UNEXPECTED_NULL;
    ASSERT_EQ(AParcel_setDataPosition(parcel.get(), 0), STATUS_OK);
    ndk::SpAIBinder binder;
    ndk::ScopedFileDescriptor fd;
    EXPECT_EQ(nullable ? ndk::AParcel_readNullableData(parcel.get(), &binder) : ndk::AParcel_readData(parcel.get(), &binder),
              expected);
    EXPECT_EQ(nullable ? ndk::AParcel_readNullableData(parcel.get(), &fd) : ndk::AParcel_readData(parcel.get(), &fd), expected);
    std::optional<std::string> maybe_text;
    std::string text;
    EXPECT_EQ(nullable ? ndk::AParcel_readString(parcel.get(), &maybe_text) : ndk::AParcel_readString(parcel.get(), &text),
              expected);
    std::optional<std::vector<int32_t>> maybe_numbers;
    std::vector<int32_t> numbers;
    EXPECT_EQ(nullable ? ndk::AParcel_readVector(parcel.get(), &maybe_numbers) : ndk::AParcel_readVector(parcel.get(), &numbers),
              expected);
  }
  EXPECT_EQ(AParcel_writeString(parcel.get(), nullptr, 3), STATUS_BAD_VALUE);
  EXPECT_EQ(AParcel_writeString(parcel.get(), "abc", -1), STATUS_BAD_VALUE);
  EXPECT_EQ(AParcel_writeString(parcel.get(), "\xff", 1), STATUS_BAD_VALUE);
  EXPECT_EQ(AParcel_writeInt32Array(parcel.get(), nullptr, 1), STATUS_BAD_VALUE);
  EXPECT_EQ(AParcel_writeInt32(nullptr, 1), STATUS_UNEXPECTED_NULL);
  EXPECT_EQ(AParcel_readInt32(parcel.get(), nullptr), STATUS_UNEXPECTED_NULL);
}

TEST(AParcel, CountsThatCannotBeAreRefused) {
  for (const int32_t count : {INT32_MIN, -2, 100, INT32_MAX}) {
    const ScopedAParcel parcel(AParcel_create());
    ASSERT_EQ(AParcel_writeInt32(parcel.get(), count), STATUS_OK);
    ASSERT_EQ(AParcel_writeInt32(parcel.get(), 0), STATUS_OK);
    const auto refuses = [&](auto target) {
      EXPECT_EQ(AParcel_setDataPosition(parcel.get(), 0), STATUS_OK);
      EXPECT_NE(ndk::AParcel_readVector(parcel.get(), &target), STATUS_OK) << count;
    };
    refuses(std::vector<int32_t>());
    refuses(std::vector<uint8_t>());
    refuses(std::vector<char16_t>());
    refuses(std::vector<bool>());
    refuses(std::vector<std::string>());
    refuses(std::vector<Point>());
    refuses(std::optional<std::vector<double>>());
    refuses(std::array<int32_t, 1>());
    refuses(std::array<std::string, 1>());
  }
}

TEST(AParcel, FileDescriptorsComeBack) {
  const ndk::ScopedFileDescriptor null(open("/dev/null", O_RDONLY | O_CLOEXEC));
  std::vector<ndk::ScopedFileDescriptor> several;
  several.push_back(null.dup());
  several.push_back(null.dup());
  const ScopedAParcel parcel(AParcel_create());
  ASSERT_EQ(ndk::AParcel_writeRequiredParcelFileDescriptor(parcel.get(), null), STATUS_OK);
  ASSERT_EQ(ndk::AParcel_writeVector(parcel.get(), several), STATUS_OK);
  ASSERT_EQ(AParcel_setDataPosition(parcel.get(), 0), STATUS_OK);
  ndk::ScopedFileDescriptor one;
  std::vector<ndk::ScopedFileDescriptor> more;
  EXPECT_EQ(ndk::AParcel_readRequiredParcelFileDescriptor(parcel.get(), &one), STATUS_OK);
  EXPECT_EQ(ndk::AParcel_readVector(parcel.get(), &more), STATUS_OK);
  EXPECT_GE(one.get(), 0);
  EXPECT_NE(one.get(), null.get());
  EXPECT_EQ(more.size(), 2u);
  EXPECT_EQ(AParcel_writeParcelFileDescriptor(parcel.get(), -2), STATUS_BAD_VALUE);
}

TEST(AParcel, StatusesComeBack) {
  const ScopedAParcel parcel(AParcel_create());
  const auto written = ndk::ScopedAStatus::fromServiceSpecificErrorWithMessage(3, "three");
  ASSERT_EQ(AParcel_writeStatusHeader(parcel.get(), written.get()), STATUS_OK);
  ASSERT_EQ(AParcel_setDataPosition(parcel.get(), 0), STATUS_OK);
  ndk::ScopedAStatus status;
  ASSERT_EQ(AParcel_readStatusHeader(parcel.get(), status.getR()), STATUS_OK);
  EXPECT_EQ(status.getServiceSpecificError(), 3);
  EXPECT_STREQ(status.getMessage(), "three");
  const auto failed = ndk::ScopedAStatus::fromStatus(STATUS_UNKNOWN_TRANSACTION);
  EXPECT_EQ(AParcel_writeStatusHeader(parcel.get(), failed.get()), STATUS_UNKNOWN_TRANSACTION);
}

TEST(AParcel, RecursionIsBounded) {
  const auto read_chain = [](uint32_t length) {
    const ScopedAParcel parcel(AParcel_create());
    for (uint32_t i = 0; i < length; ++i) EXPECT_EQ(AParcel_writeInt32(parcel.get(), 1), STATUS_OK);
    EXPECT_EQ(AParcel_writeInt32(parcel.get(), 0), STATUS_OK);
    EXPECT_EQ(AParcel_setDataPosition(parcel.get(), 0), STATUS_OK);
    test::Chain chain;
    return ndk::AParcel_readData(parcel.get(), &chain);
  };
  EXPECT_EQ(read_chain(Parcel::kMaxNesting), STATUS_OK);
  EXPECT_EQ(read_chain(Parcel::kMaxNesting + 1), STATUS_BAD_VALUE);
  EXPECT_EQ(read_chain(20'000), STATUS_BAD_VALUE);
}

TEST(AParcel, OutArraysHaveTheCallersSize) {
  const ScopedAParcel parcel(AParcel_create());
  ASSERT_EQ(ndk::AParcel_writeVectorSize(parcel.get(), std::vector<int32_t>(3)), STATUS_OK);
  ASSERT_EQ(ndk::AParcel_writeVectorSize(parcel.get(), std::optional<std::vector<int32_t>>()), STATUS_OK);
  ASSERT_EQ(AParcel_writeInt32(parcel.get(), INT32_MAX), STATUS_OK);
  ASSERT_EQ(AParcel_writeInt32(parcel.get(), -1), STATUS_OK);
  ASSERT_EQ(AParcel_setDataPosition(parcel.get(), 0), STATUS_OK);
  std::vector<int32_t> numbers;
  std::optional<std::vector<int32_t>> none(1);
  EXPECT_EQ(ndk::AParcel_resizeVector(parcel.get(), &numbers), STATUS_OK);
  EXPECT_EQ(numbers.size(), 3u);
  EXPECT_EQ(ndk::AParcel_resizeVector(parcel.get(), &none), STATUS_OK);
  EXPECT_FALSE(none);
  EXPECT_EQ(ndk::AParcel_resizeVector(parcel.get(), &numbers), STATUS_NO_MEMORY);
  EXPECT_EQ(ndk::AParcel_resizeVector(parcel.get(), &numbers), STATUS_UNEXPECTED_NULL);
}

TEST(AParcel, CArraysComeBack) {
  const std::vector<std::string> texts = {"one", "", "three"};
  const bool flags[] = {true, false};
  const ScopedAParcel parcel(AParcel_create());
  ASSERT_EQ(AParcel_writeStringArray(parcel.get(), &texts, 3,
                                     [](const void* data, size_t index, int32_t* length) -> const char* {
                                       const auto& text = (*static_cast<const std::vector<std::string>*>(data))[index];
                                       *length = static_cast<int32_t>(text.size());
                                       return text.data();
                                     }),
            STATUS_OK);
  ASSERT_EQ(AParcel_writeBoolArray(parcel.get(), flags, 2,
                                   [](const void* data, size_t index) { return static_cast<const bool*>(data)[index]; }),
            STATUS_OK);
  const auto write_int = [](AParcel* out, const void* data, size_t index) -> binder_status_t {
    return AParcel_writeInt32(out, static_cast<const int32_t*>(data)[index]);
  };
  const int32_t numbers[] = {7, 8};
  ASSERT_EQ(AParcel_writeParcelableArray(parcel.get(), numbers, 2, write_int), STATUS_OK);
  ASSERT_EQ(AParcel_setDataPosition(parcel.get(), 0), STATUS_OK);

  std::vector<std::string> read_texts;
  EXPECT_EQ(AParcel_readStringArray(
                parcel.get(), &read_texts,
                [](void* data, int32_t length) {
                  static_cast<std::vector<std::string>*>(data)->resize(static_cast<size_t>(length));
                  return true;
                },
                [](void* data, size_t index, int32_t length, char** buffer) {
                  auto& text = (*static_cast<std::vector<std::string>*>(data))[index];
                  text.resize(static_cast<size_t>(length) - 1);
                  *buffer = text.data();
                  return true;
                }),
            STATUS_OK);
  EXPECT_EQ(read_texts, texts);
  bool read_flags[2] = {};
  EXPECT_EQ(AParcel_readBoolArray(
                parcel.get(), read_flags, [](void*, int32_t length) { return length == 2; },
                [](void* data, size_t index, bool value) { static_cast<bool*>(data)[index] = value; }),
            STATUS_OK);
  EXPECT_THAT(read_flags, ElementsAre(true, false));
  int32_t read_numbers[2] = {};
  EXPECT_EQ(AParcel_readParcelableArray(
                parcel.get(), read_numbers, [](void*, int32_t length) { return length == 2; },
                [](const AParcel* in, void* data, size_t index) -> binder_status_t {
                  return AParcel_readInt32(in, static_cast<int32_t*>(data) + index);
                }),
            STATUS_OK);
  EXPECT_THAT(read_numbers, ElementsAre(7, 8));
  ASSERT_EQ(AParcel_setDataPosition(parcel.get(), 0), STATUS_OK);
  EXPECT_EQ(AParcel_readInt32Array(parcel.get(), nullptr, [](void*, int32_t, int32_t**) { return false; }), STATUS_NO_MEMORY);
}

TEST(AParcel, BytesAreMarshalled) {
  const ScopedAParcel parcel(AParcel_create());
  ASSERT_EQ(AParcel_writeInt32(parcel.get(), 5), STATUS_OK);
  ASSERT_EQ(AParcel_writeInt32(parcel.get(), 6), STATUS_OK);
  uint8_t buffer[8];
  ASSERT_EQ(AParcel_marshal(parcel.get(), buffer, 0, 8), STATUS_OK);
  EXPECT_EQ(AParcel_marshal(parcel.get(), buffer, 4, 8), STATUS_BAD_VALUE);
  const ScopedAParcel other(AParcel_create());
  ASSERT_EQ(AParcel_unmarshal(other.get(), buffer, 8), STATUS_OK);
  int32_t first = 0;
  EXPECT_EQ(AParcel_readInt32(other.get(), &first), STATUS_OK);
  EXPECT_EQ(first, 5);
  ASSERT_EQ(AParcel_reset(other.get()), STATUS_OK);
  EXPECT_EQ(AParcel_getDataSize(other.get()), 0);
  const ndk::ScopedFileDescriptor null(open("/dev/null", O_RDONLY | O_CLOEXEC));
  ASSERT_EQ(AParcel_writeParcelFileDescriptor(other.get(), null.get()), STATUS_OK);
  EXPECT_EQ(AParcel_marshal(other.get(), buffer, 0, 8), STATUS_INVALID_OPERATION);
}

TEST(AParcelableHolder, HoldsOneOfAnyType) {
  ndk::AParcelableHolder holder(ndk::STABILITY_LOCAL);
  std::optional<Point> point;
  EXPECT_EQ(holder.getParcelable(&point), STATUS_OK);
  EXPECT_FALSE(point);
  ASSERT_EQ(holder.setParcelable(Point{9, "nine"}), STATUS_OK);

  const ScopedAParcel parcel(AParcel_create());
  ASSERT_EQ(ndk::AParcel_writeParcelable(parcel.get(), holder), STATUS_OK);
  ASSERT_EQ(AParcel_writeInt32(parcel.get(), 77), STATUS_OK);
  ASSERT_EQ(AParcel_setDataPosition(parcel.get(), 0), STATUS_OK);
  ndk::AParcelableHolder back(ndk::STABILITY_LOCAL);
  ASSERT_EQ(ndk::AParcel_readParcelable(parcel.get(), &back), STATUS_OK);
  int32_t next = 0;
  EXPECT_EQ(AParcel_readInt32(parcel.get(), &next), STATUS_OK);
  EXPECT_EQ(next, 77);

  for (const ndk::AParcelableHolder& one : {back, ndk::AParcelableHolder(back)}) {
    EXPECT_EQ(one.getParcelable(&point), STATUS_OK);
    EXPECT_EQ(point, (Point{9, "nine"}));
    std::optional<test::Other> other;
    EXPECT_EQ(one.getParcelable(&other), STATUS_BAD_VALUE);
  }

  ndk::AParcelableHolder stable(ndk::STABILITY_VINTF);
  EXPECT_EQ(stable.setParcelable(Point()), STATUS_BAD_VALUE);
  ASSERT_EQ(AParcel_setDataPosition(parcel.get(), 4), STATUS_OK);
  EXPECT_EQ(stable.readFromParcel(parcel.get()), STATUS_BAD_VALUE);
  // A size that reaches past the end.
  ASSERT_EQ(AParcel_setDataPosition(parcel.get(), 8), STATUS_OK);
  ASSERT_EQ(AParcel_writeInt32(parcel.get(), 1000), STATUS_OK);
  ASSERT_EQ(AParcel_setDataPosition(parcel.get(), 0), STATUS_OK);
  EXPECT_EQ(ndk::AParcel_readParcelable(parcel.get(), &back), STATUS_BAD_VALUE);
}

TEST(NdkUtils, EnumsCanBeListed) {
  std::vector<Small> values;
  for (const Small value : ndk::enum_range<Small>()) values.push_back(value);
  EXPECT_THAT(values, ElementsAre(Small::kA, Small::kB));
}

TEST(NdkUtils, ValuesAreText) {
  using ndk::internal::ToString;
  EXPECT_EQ(ToString(true), "true");
  EXPECT_EQ(ToString<int8_t>(-3), "-3");
  EXPECT_EQ(ToString(u'a'), "97");
  EXPECT_EQ(ToString(1.5), "1.5");
  EXPECT_EQ(ToString<std::string>("text"), "text");
  EXPECT_EQ(ToString(Small::kB), "B");
  EXPECT_EQ(ToString(Point{4, ""}), "Point{4}");
  EXPECT_EQ(ToString(std::vector<bool>{true, false}), "[true, false]");
  EXPECT_EQ(ToString(std::optional<int32_t>()), "(null)");
  EXPECT_EQ(ToString(std::optional(std::vector<std::optional<std::string>>{"a", std::nullopt})), "[a, (null)]");
  EXPECT_EQ(ToString(std::array<std::array<int32_t, 1>, 2>{{{1}, {2}}}), "[[1], [2]]");
  EXPECT_EQ(ToString(ndk::ScopedFileDescriptor()), "(null)");
  EXPECT_EQ(ToString(ndk::SpAIBinder()), "(null)");
}

}  // namespace
}  // namespace adyton::rpc

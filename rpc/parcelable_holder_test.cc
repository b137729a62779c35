#include "rpc/parcelable_holder.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace adyton::rpc {
namespace {

// As aidlc writes them.
struct Point {
  static constexpr std::string_view kDescriptor = "a.B";
  int32_t x = 0;
  Status write_to(Parcel* parcel) const { return write_structured(parcel, x); }
  Status read_from(const Parcel& parcel) { return read_structured(parcel, &x); }
  bool operator==(const Point&) const = default;
};
struct Stable {
  static constexpr std::string_view kDescriptor = "a.Stable";
  static constexpr auto kStability = ParcelableHolder::Stability::kVintf;
  UniqueFd file;
  Status write_to(Parcel* parcel) const { return write_structured(parcel, file); }
  Status read_from(const Parcel& parcel) { return read_structured(parcel, &file); }
};

std::string hex(const Parcel& parcel) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (size_t i = 0; i < parcel.bytes().size(); ++i) {
    if (i > 0 && i % 4 == 0) out += ' ';
    out += {kDigits[parcel.bytes()[i] >> 4], kDigits[parcel.bytes()[i] & 15]};
  }
  return out;
}

TEST(ParcelableHolderTest, WritesAospsBytes) {
  ParcelableHolder holder;
  ASSERT_TRUE(holder.set(Point{5}).is_ok());
  Parcel parcel;
  ASSERT_TRUE(write(&parcel, holder).is_ok());
  // Not null, local, 20 bytes: "a.B", a structure of 8 bytes, 5.
  EXPECT_EQ(hex(parcel), "01000000 00000000 14000000 03000000 61002e00 42000000 08000000 05000000");
  Parcel empty;
  ASSERT_TRUE(write(&empty, ParcelableHolder(ParcelableHolder::Stability::kVintf)).is_ok());
  EXPECT_EQ(hex(empty), "01000000 01000000 00000000");
}

TEST(ParcelableHolderTest, GivesBackWhatItHolds) {
  ParcelableHolder holder;
  EXPECT_TRUE(holder.empty());
  EXPECT_EQ(holder.get<Point>().value(), std::nullopt);
  ASSERT_TRUE(holder.set(Point{5}).is_ok());
  Parcel parcel;
  ASSERT_TRUE(write_all(&parcel, holder, 7).is_ok());
  ParcelableHolder copy;
  int32_t behind = 0;
  ASSERT_TRUE(read_all(parcel, &copy, &behind).is_ok());
  EXPECT_EQ(behind, 7);
  EXPECT_EQ(copy.get<Point>().value(), Point{5});
  EXPECT_EQ(copy.get<Point>().value(), Point{5}) << "more than once";
  EXPECT_EQ(copy, holder);
  EXPECT_EQ(copy.to_string(), "parcelable of 20 bytes");
  ASSERT_TRUE(copy.set(Point{6}).is_ok());
  EXPECT_FALSE(copy == holder);
  copy.reset();
  EXPECT_TRUE(copy.empty());
  EXPECT_EQ(holder.get<Stable>().error().transport_error(), TransportError::kBadValue) << "it is something else";
}

TEST(ParcelableHolderTest, KeepsDescriptors) {
  ParcelableHolder holder(ParcelableHolder::Stability::kVintf);
  ASSERT_TRUE(holder.set(Stable{UniqueFd(::open("/dev/null", O_RDONLY | O_CLOEXEC))}).is_ok());
  const ParcelableHolder copy = holder;
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(copy.get<Stable>().value()->file.valid());
  EXPECT_EQ(copy, holder);
}

TEST(ParcelableHolderTest, TakesOnlyWhatIsAsStable) {
  ParcelableHolder stable(ParcelableHolder::Stability::kVintf);
  EXPECT_EQ(stable.set(Point{5}).transport_error(), TransportError::kBadValue);
  EXPECT_TRUE(stable.empty());
  Parcel parcel;
  ASSERT_TRUE(write(&parcel, ParcelableHolder()).is_ok());
  EXPECT_EQ(read(parcel, &stable).transport_error(), TransportError::kBadValue);
}

TEST(ParcelableHolderTest, RefusesSizesThatAreNotThere) {
  for (const int32_t size : {-1, 1, 3, 5, 8, INT32_MAX, INT32_MIN}) {
    Parcel parcel;
    for (const int32_t value : {1, 0, size, 0}) parcel.write_int32(value);
    ParcelableHolder holder;
    ASSERT_TRUE(holder.set(Point{5}).is_ok());
    EXPECT_FALSE(read(parcel, &holder).is_ok()) << size;
    EXPECT_TRUE(holder.empty());
  }
  // What is held is looked at when it is asked for.
  Parcel parcel;
  for (const int32_t value : {1, 0, 4, 1000}) parcel.write_int32(value);
  ParcelableHolder holder;
  ASSERT_TRUE(read(parcel, &holder).is_ok());
  EXPECT_FALSE(holder.get<Point>());
}

}  // namespace
}  // namespace adyton::rpc

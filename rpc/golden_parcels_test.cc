// AOSP's golden parcels: what libbinder's binderRpcWireProtocolTest expects each kind of value to be in an RPC session, as
// hexadecimal digits (protocol versions 0 and 1; 2 has the same). What only libbinder has (C strings, String8) is left out: AIDL
// never uses it.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <functional>

#include "rpc/parcelable.h"

namespace adyton::rpc {
namespace {

enum class Int8 : int8_t { kA, kB };
enum class Int32 : int32_t { kA, kB };
enum class Int64 : int64_t { kA, kB };

struct ThirtySeven {
  Status write_to(Parcel* parcel) const {
    parcel->write_int32(37);
    return Status::ok();
  }
  Status read_from(const Parcel& parcel) {
    const auto value = parcel.read_int32();
    if (!value) return value.error();
    return *value == 37 ? Status::ok() : Status::from_transport(TransportError::kBadValue);
  }
  bool operator==(const ThirtySeven&) const = default;
};

struct Golden {
  const char* name;
  const char* hex;
  std::function<Status(Parcel*)> write;
  std::function<Status(const Parcel&)> read;  // and says whether the value is the one written
};

Status equal(bool same) { return same ? Status::ok() : Status::from_exception(Exception::kIllegalState, "another value"); }

template <typename T>
Golden golden(const char* name, const char* hex, T value) {
  return {name, hex, [value](Parcel* parcel) { return write(parcel, value); },
          [value](const Parcel& parcel) {
            T result{};
            ADYTON_RPC_TRY(read(parcel, &result));
            return equal(result == value);
          }};
}

template <typename T>
Golden golden_nullable(const char* name, const char* hex, T value) {
  return {name, hex, [value](Parcel* parcel) { return write(parcel, nullable(value)); },
          [value](const Parcel& parcel) {
            T result{};
            ADYTON_RPC_TRY(read(parcel, nullable(&result)));
            return equal(result == value);
          }};
}

Golden golden_status(const char* name, const char* hex, Status status) {
  return {name, hex, [status](Parcel* parcel) { return parcel->write_status(status); },
          [status](const Parcel& parcel) {
            const auto result = parcel.read_status();
            return result ? equal(*result == status) : result.error();
          }};
}

Golden golden_count(const char* name, const char* hex, std::optional<uint32_t> count) {
  return {name, hex,
          [count](Parcel* parcel) {
            parcel->write_int32(count ? static_cast<int32_t>(*count) : -1);
            return Status::ok();
          },
          [count](const Parcel& parcel) {
            // The elements do not come along here.
            if (count.value_or(0) > 0) return equal(parcel.read_int32() == static_cast<int32_t>(*count));
            const auto result = parcel.read_count(4);
            return result ? equal(*result == count) : result.error();
          }};
}

template <typename T>
using Vector = std::vector<T>;
template <typename T>
using MaybeVector = std::optional<std::vector<T>>;
using MaybeString = std::optional<std::string>;
using Strings = Vector<MaybeString>;
using BinderPointer = std::shared_ptr<Binder>;

const std::vector<Golden>& goldens() {
  static const std::vector<Golden> table = {
      {"interface token", "0300000074006f006b000000",
       [](Parcel* parcel) {
         parcel->write_interface_token("tok");
         return Status::ok();
       },
       [](const Parcel& parcel) { return parcel.check_interface_token("tok"); }},

      golden<int32_t>("int32 -1", "ffffffff", -1),
      golden<int32_t>("int32 0", "00000000", 0),
      golden<int32_t>("int32 17", "11000000", 17),
      golden<int64_t>("int64 -1", "ffffffffffffffff", -1),
      golden<int64_t>("int64 0", "0000000000000000", 0),
      golden<int64_t>("int64 17", "1100000000000000", 17),
      golden<uint64_t>("uint64 0", "0000000000000000", 0),
      golden<uint64_t>("uint64 1", "0100000000000000", 1),
      golden<uint64_t>("uint64 10003", "1327000000000000", 10003),
      golden("float 0", "00000000", 0.0f),
      golden("float 0.1", "cdcccc3d", 0.1f),
      golden("float 9.1", "9a991141", 9.1f),
      golden("double 0", "0000000000000000", 0.0),
      golden("double 0.1", "9a9999999999b93f", 0.1),
      golden("double 9.1", "3333333333332240", 9.1),
      golden("bool true", "01000000", true),
      golden("bool false", "00000000", false),
      golden("char a", "61000000", u'a'),
      golden("char ?", "3f000000", u'?'),
      golden("char 0", "00000000", u'\0'),
      golden<int8_t>("byte -128", "80ffffff", -128),
      golden<int8_t>("byte 0", "00000000", 0),
      golden<int8_t>("byte 127", "7f000000", 127),

      golden<std::string>("string empty", "0000000000000000", ""),
      golden<std::string>("string a", "0100000061000000", "a"),
      golden<std::string>("string abab", "04000000610062006100620000000000", "abab"),
      golden<std::string>("string baba", "04000000620061006200610000000000", "baba"),
      golden<MaybeString>("string null", "ffffffff", std::nullopt),
      golden<MaybeString>("string maybe empty", "0000000000000000", ""),
      golden<MaybeString>("string maybe a", "0100000061000000", "a"),
      golden<MaybeString>("string maybe abab", "04000000610062006100620000000000", "abab"),

      golden_nullable<BinderPointer>("binder null", "0000000000000000", nullptr),

      golden<Vector<int32_t>>("int32s", "03000000ffffffff0000000011000000", {-1, 0, 17}),
      golden<Vector<int32_t>>("int32s empty", "00000000", {}),
      golden<MaybeVector<int32_t>>("int32s null", "ffffffff", std::nullopt),
      golden<MaybeVector<int32_t>>("int32s maybe", "03000000ffffffff0000000011000000", {{-1, 0, 17}}),
      golden<std::array<int32_t, 3>>("int32 array", "03000000ffffffff0000000011000000", {-1, 0, 17}),
      golden<Vector<uint8_t>>("byte array", "030000000011ff00", {0, 17, 255}),
      golden<Vector<int8_t>>("int8s", "03000000ff001100", {-1, 0, 17}),
      golden<Vector<int8_t>>("int8s empty", "00000000", {}),
      golden<MaybeVector<int8_t>>("int8s null", "ffffffff", std::nullopt),
      golden<MaybeVector<int8_t>>("int8s maybe", "03000000ff001100", {{-1, 0, 17}}),
      golden<Vector<uint8_t>>("uint8s", "0300000000011100", {0, 1, 17}),
      golden<Vector<uint8_t>>("uint8s empty", "00000000", {}),
      golden<MaybeVector<uint8_t>>("uint8s null", "ffffffff", std::nullopt),
      golden<MaybeVector<uint8_t>>("uint8s maybe", "0300000000011100", {{0, 1, 17}}),
      golden<Vector<int64_t>>("int64s", "03000000ffffffffffffffff00000000000000001100000000000000", {-1, 0, 17}),
      golden<Vector<int64_t>>("int64s empty", "00000000", {}),
      golden<MaybeVector<int64_t>>("int64s null", "ffffffff", std::nullopt),
      golden<MaybeVector<int64_t>>("int64s maybe", "03000000ffffffffffffffff00000000000000001100000000000000", {{-1, 0, 17}}),
      golden<Vector<uint64_t>>("uint64s", "03000000000000000000000001000000000000001100000000000000", {0, 1, 17}),
      golden<Vector<uint64_t>>("uint64s empty", "00000000", {}),
      golden<MaybeVector<uint64_t>>("uint64s null", "ffffffff", std::nullopt),
      golden<MaybeVector<uint64_t>>("uint64s maybe", "03000000000000000000000001000000000000001100000000000000", {{0, 1, 17}}),
      golden<Vector<float>>("floats", "0300000000000000cdcccc3d9a991141", {0.0f, 0.1f, 9.1f}),
      golden<Vector<float>>("floats empty", "00000000", {}),
      golden<MaybeVector<float>>("floats null", "ffffffff", std::nullopt),
      golden<MaybeVector<float>>("floats maybe", "0300000000000000cdcccc3d9a991141", {{0.0f, 0.1f, 9.1f}}),
      golden<Vector<double>>("doubles", "0300000000000000000000009a9999999999b93f3333333333332240", {0.0, 0.1, 9.1}),
      golden<Vector<double>>("doubles empty", "00000000", {}),
      golden<MaybeVector<double>>("doubles null", "ffffffff", std::nullopt),
      golden<MaybeVector<double>>("doubles maybe", "0300000000000000000000009a9999999999b93f3333333333332240", {{0.0, 0.1, 9.1}}),
      golden<Vector<bool>>("bools", "020000000100000000000000", {true, false}),
      golden<Vector<bool>>("bools empty", "00000000", {}),
      golden<MaybeVector<bool>>("bools null", "ffffffff", std::nullopt),
      golden<MaybeVector<bool>>("bools maybe", "020000000100000000000000", {{true, false}}),
      golden<Vector<char16_t>>("chars", "0300000061000000000000003f000000", {u'a', u'\0', u'?'}),
      golden<Vector<char16_t>>("chars empty", "00000000", {}),
      golden<MaybeVector<char16_t>>("chars null", "ffffffff", std::nullopt),
      golden<MaybeVector<char16_t>>("chars maybe", "0300000061000000000000003f000000", {{u'a', u'\0', u'?'}}),
      golden<Strings>("strings", "03000000ffffffff00000000000000000100000061000000", {std::nullopt, "", "a"}),
      golden<Strings>("strings empty", "00000000", {}),
      golden<std::optional<Strings>>("strings null", "ffffffff", std::nullopt),
      golden<std::optional<Strings>>("strings maybe", "03000000ffffffff00000000000000000100000061000000",
                                     {{std::nullopt, "", "a"}}),
      golden_nullable<Vector<BinderPointer>>("binders", "010000000000000000000000", {nullptr}),
      golden<Vector<BinderPointer>>("binders empty", "00000000", {}),
      golden<MaybeVector<BinderPointer>>("binders null", "ffffffff", std::nullopt),
      golden<MaybeVector<BinderPointer>>("binders maybe", "010000000000000000000000", {{nullptr}}),

      golden<Vector<Int8>>("int8 enums", "0200000000010000", {Int8::kA, Int8::kB}),
      golden<MaybeVector<Int8>>("int8 enums null", "ffffffff", std::nullopt),
      golden<MaybeVector<Int8>>("int8 enums maybe", "0200000000010000", {{Int8::kA, Int8::kB}}),
      golden<Vector<Int32>>("int32 enums", "020000000000000001000000", {Int32::kA, Int32::kB}),
      golden<MaybeVector<Int32>>("int32 enums null", "ffffffff", std::nullopt),
      golden<MaybeVector<Int32>>("int32 enums maybe", "020000000000000001000000", {{Int32::kA, Int32::kB}}),
      golden<Vector<Int64>>("int64 enums", "0200000000000000000000000100000000000000", {Int64::kA, Int64::kB}),
      golden<MaybeVector<Int64>>("int64 enums null", "ffffffff", std::nullopt),
      golden<MaybeVector<Int64>>("int64 enums maybe", "0200000000000000000000000100000000000000", {{Int64::kA, Int64::kB}}),

      golden<ThirtySeven>("parcelable", "0100000025000000", {}),
      golden<std::optional<ThirtySeven>>("parcelable null", "00000000", std::nullopt),
      golden<std::optional<ThirtySeven>>("parcelable maybe", "0100000025000000", ThirtySeven()),
      golden<Vector<ThirtySeven>>("parcelables", "010000000100000025000000", {{}}),
      golden<MaybeVector<std::optional<ThirtySeven>>>("parcelables null", "ffffffff", std::nullopt),
      golden<MaybeVector<std::optional<ThirtySeven>>>("parcelables maybe", "010000000100000025000000", {{ThirtySeven()}}),

      golden_count("count 3", "03000000", 3),
      golden_count("count 0", "00000000", 0),
      golden_count("count of none", "ffffffff", std::nullopt),

      golden_status("ok", "00000000", Status::ok()),
      golden_status("exception 7", "07000000020000003a0044000000000000000000", Status::from_exception(Exception{7}, ":D")),
      golden_status("service specific 8", "f8ffffff020000003a002f00000000000000000008000000",
                    Status::from_service_specific(8, ":/")),
  };
  return table;
}

std::string hex(std::span<const uint8_t> bytes) { return fmt::format("{:02x}", fmt::join(bytes, "")); }

std::vector<uint8_t> bytes(std::string_view hex) {
  std::vector<uint8_t> result;
  for (size_t i = 0; i < hex.size(); i += 2)
    result.push_back(static_cast<uint8_t>(std::stoul(std::string(hex.substr(i, 2)), nullptr, 16)));
  return result;
}

TEST(GoldenParcels, AreWritten) {
  for (const Golden& golden : goldens()) {
    Parcel parcel;
    const Status status = golden.write(&parcel);
    EXPECT_TRUE(status.is_ok()) << golden.name << ": " << status.to_string();
    EXPECT_EQ(hex(parcel.bytes()), golden.hex) << golden.name;
  }
}

TEST(GoldenParcels, AreRead) {
  for (const Golden& golden : goldens()) {
    const auto parcel = Parcel::received(bytes(golden.hex), {}, {}, nullptr);
    ASSERT_TRUE(parcel) << golden.name;
    const Status status = golden.read(*parcel);
    EXPECT_TRUE(status.is_ok()) << golden.name << ": " << status.to_string();
    EXPECT_EQ(parcel->remaining(), 0u) << golden.name;
  }
}

TEST(GoldenParcels, AreNotReadWhenTheyAreCut) {
  for (const Golden& golden : goldens()) {
    const auto whole = bytes(golden.hex);
    for (size_t size = 0; size < whole.size(); ++size) {
      const auto parcel = Parcel::received({whole.begin(), whole.begin() + static_cast<ptrdiff_t>(size)}, {}, {}, nullptr);
      ASSERT_TRUE(parcel) << golden.name;
      EXPECT_FALSE(golden.read(*parcel).is_ok()) << golden.name << " cut to " << size;
    }
  }
}

}  // namespace
}  // namespace adyton::rpc

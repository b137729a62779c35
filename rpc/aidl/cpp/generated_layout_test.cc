// The bytes that generated proxies and stubs write, derived by hand from AOSP's parcel layout: every value on 4 bytes; strings
// with their length in UTF-16 units and a NUL; bool, byte and char as int32; byte arrays and byte enums packed; parcelables
// behind a 1, structured ones with their size, unions with their tag.
#include <gtest/gtest.h>

#include "rpc/aidl/cpp/kitchen_fixture.h"

namespace com::example::kitchen {
namespace {

// Keeps what it is called with.
class Recorder : public adyton::rpc::LocalBinder {
 public:
  std::string interface_descriptor() override { return std::string(IKitchen::kDescriptor); }
  Status on_transact(uint32_t code, const Parcel& data, Parcel*, uint32_t) override {
    code_seen = code;
    bytes.assign(data.bytes().begin(), data.bytes().end());
    return Status::from_transport(TransportError::kInvalidOperation);
  }
  uint32_t code_seen = 0;
  std::vector<uint8_t> bytes;
};

std::string hex(std::span<const uint8_t> bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (i > 0 && i % 4 == 0) out += ' ';
    out += {kDigits[bytes[i] >> 4], kDigits[bytes[i] & 15]};
  }
  return out;
}

class GeneratedLayoutTest : public ::testing::Test {
 protected:
  // What was written behind the interface token.
  std::string sent() const {
    const size_t token = 4 + (IKitchen::kDescriptor.size() * 2 + 2 + 3) / 4 * 4;
    return recorder_->bytes.size() < token ? "no token" : hex(std::span(recorder_->bytes).subspan(token));
  }
  std::string answered(uint32_t code, const auto&... arguments) {
    Parcel data;
    data.write_interface_token(IKitchen::kDescriptor);
    EXPECT_TRUE(adyton::rpc::write_all(&data, arguments...).is_ok());
    Parcel reply;
    EXPECT_TRUE(service_->transact(code, data, &reply).is_ok());
    return hex(reply.bytes());
  }

  std::shared_ptr<Recorder> recorder_ = std::make_shared<Recorder>();
  IKitchenProxy kitchen_{recorder_};
  std::shared_ptr<Kitchen> service_ = std::make_shared<Kitchen>();
};

TEST_F(GeneratedLayoutTest, StartsWithTheInterfaceToken) {
  ICookProxy cook(recorder_);
  EXPECT_FALSE(IKitchenProxy(recorder_).nothing());
  EXPECT_EQ(hex(recorder_->bytes).substr(0, 35), "1c000000 63006f00 6d002e00 65007800");  // 28, "com.ex"
  EXPECT_EQ(sent(), "");
  EXPECT_EQ(recorder_->code_seen, 2u);
}

TEST_F(GeneratedLayoutTest, WritesValues) {
  EXPECT_FALSE(kitchen_.add(1, -1));
  EXPECT_EQ(sent(), "01000000 ffffffff");
  EXPECT_FALSE(kitchen_.repeatBoolean(true));
  EXPECT_EQ(sent(), "01000000");
  EXPECT_FALSE(kitchen_.repeatByte(-128));
  EXPECT_EQ(sent(), "80ffffff");
  EXPECT_FALSE(kitchen_.repeatChar(u'\xabcd'));
  EXPECT_EQ(sent(), "cdab0000");
  EXPECT_FALSE(kitchen_.repeatLong(0x0102030405060708));
  EXPECT_EQ(sent(), "08070605 04030201");
  EXPECT_FALSE(kitchen_.repeatFloat(1.5f));
  EXPECT_EQ(sent(), "0000c03f");
  EXPECT_FALSE(kitchen_.repeatDouble(1.5));
  EXPECT_EQ(sent(), "00000000 0000f83f");
  EXPECT_FALSE(kitchen_.repeatString("hi"));
  EXPECT_EQ(sent(), "02000000 68006900 00000000");
  EXPECT_FALSE(kitchen_.repeatNullableString(std::nullopt));
  EXPECT_EQ(sent(), "ffffffff");
  EXPECT_FALSE(kitchen_.repeatCourse(static_cast<Course>(-2)));
  EXPECT_EQ(sent(), "feffffff");
  EXPECT_FALSE(kitchen_.repeatMood(IKitchen::Mood::CLOSED));
  EXPECT_EQ(sent(), "02000000");
}

TEST_F(GeneratedLayoutTest, WritesParcelablesAndUnions) {
  EXPECT_FALSE(kitchen_.repeatNullableIngredient(std::nullopt));
  EXPECT_EQ(sent(), "00000000");
  EXPECT_FALSE(kitchen_.repeatNullableIngredient(Ingredient{"a", 5}));
  EXPECT_EQ(sent(), "01000000 10000000 01000000 61000000 05000000");
  IKitchen::Report report;
  report.mood = IKitchen::Mood::BUSY;
  report.lines = {"a", ""};
  EXPECT_FALSE(kitchen_.report(report));
  EXPECT_EQ(sent(), "01000000 1c000000 01000000 02000000 01000000 61000000 00000000 00000000");
  EXPECT_FALSE(kitchen_.repeatAmount(Amount::make<Amount::Tag::words>("a")));
  EXPECT_EQ(sent(), "01000000 01000000 01000000 61000000");
  EXPECT_FALSE(kitchen_.repeatAmount(Amount::make<Amount::Tag::exactly>(Ingredient{"a", 5})));
  EXPECT_EQ(sent(), "01000000 03000000 01000000 10000000 01000000 61000000 05000000");
  Amount grid;
  grid.set<Amount::Tag::grid>(std::array<std::array<int32_t, 3>, 2>{{{1, 2, 3}, {4, 5, 6}}});
  EXPECT_FALSE(kitchen_.repeatAmount(grid));
  EXPECT_EQ(sent(), "01000000 07000000 02000000 03000000 01000000 02000000 03000000 03000000 04000000 05000000 06000000");
  Recipe recipe{.step = "", .before = nullptr, .parts = {}};
  recipe.before = std::make_unique<Recipe>();
  EXPECT_FALSE(kitchen_.repeatRecipe(recipe));
  // The inner one: 1, its size, "", no recipe before it, no parts.
  EXPECT_EQ(sent(), "01000000 28000000 00000000 00000000 01000000 14000000 00000000 00000000 00000000 00000000 00000000");
}

TEST_F(GeneratedLayoutTest, WritesArrays) {
  std::vector<uint8_t> bytes(2);
  EXPECT_FALSE(kitchen_.reverseBytes(std::vector<uint8_t>{1, 2, 3, 4, 5}, &bytes));
  EXPECT_EQ(sent(), "05000000 01020304 05000000 02000000");  // padded; then the size of what is to be filled
  std::vector<bool> booleans;
  EXPECT_FALSE(kitchen_.reverseBooleans({true, false}, &booleans));
  EXPECT_EQ(sent(), "02000000 01000000 00000000 00000000");
  std::vector<char16_t> chars;
  EXPECT_FALSE(kitchen_.reverseChars(std::vector<char16_t>{u'A', u'B'}, &chars));
  EXPECT_EQ(sent(), "02000000 41000000 42000000 00000000");
  std::vector<Course> courses;
  EXPECT_FALSE(kitchen_.reverseCourses({Course::STARTER, Course::MAIN}, &courses));
  EXPECT_EQ(sent(), "02000000 01020000 00000000");
  std::vector<Heat> heats;
  EXPECT_FALSE(kitchen_.reverseHeats({Heat::HOT}, &heats));
  EXPECT_EQ(sent(), "01000000 20000000 00000000");
  std::vector<Ingredient> ingredients;
  EXPECT_FALSE(kitchen_.reverseIngredients({{"a", 5}}, &ingredients));
  EXPECT_EQ(sent(), "01000000 01000000 10000000 01000000 61000000 05000000 00000000");
  std::vector<std::string> list;
  EXPECT_FALSE(kitchen_.reverseList({"a"}, &list));
  EXPECT_EQ(sent(), "01000000 01000000 61000000");  // a List has no size to be filled
  std::array<int32_t, 3> fixed{};
  EXPECT_FALSE(kitchen_.reverseFixed({1, 2, 3}, &fixed));
  EXPECT_EQ(sent(), "03000000 01000000 02000000 03000000");
  EXPECT_FALSE(kitchen_.repeatNullableInts(std::nullopt));
  EXPECT_EQ(sent(), "ffffffff");
  EXPECT_FALSE(kitchen_.repeatNullableStrings({{std::nullopt, "a"}}));
  EXPECT_EQ(sent(), "02000000 ffffffff 01000000 61000000");
}

TEST_F(GeneratedLayoutTest, WritesObjectsAndDescriptors) {
  EXPECT_FALSE(kitchen_.repeatNullableBinder(nullptr));
  EXPECT_EQ(sent(), "00000000 00000000");  // no object, and its stability
  EXPECT_FALSE(kitchen_.repeatNullablePhoto(std::nullopt));
  EXPECT_EQ(sent(), "00000000");
  EXPECT_FALSE(kitchen_.repeatPhoto(file_with("x")));
  EXPECT_EQ(sent(), "01000000 00000000 02000000 00000000");  // there, no further channel, a descriptor, the first one
}

TEST_F(GeneratedLayoutTest, Answers) {
  EXPECT_EQ(answered(IKitchen::TRANSACTION_add, 2, 3), "00000000 05000000");
  EXPECT_EQ(answered(IKitchen::TRANSACTION_nothing), "00000000");
  EXPECT_EQ(answered(IKitchen::TRANSACTION_reverseBytes, std::vector<uint8_t>{1, 2}, 0),
            "00000000 02000000 02010000 02000000 01020000");
  EXPECT_EQ(answered(IKitchen::TRANSACTION_fail, -8, -1, std::string("no")),
            "f8ffffff 02000000 6e006f00 00000000 00000000 ffffffff");
  EXPECT_EQ(answered(IKitchen::TRANSACTION_fail, -3, 0, std::string("no")), "fdffffff 02000000 6e006f00 00000000 00000000");
  EXPECT_EQ(answered(adyton::rpc::kGetInterfaceVersion), "00000000 03000000");
  EXPECT_EQ(answered(adyton::rpc::kGetInterfaceHash), "00000000 04000000 63006100 66006500 00000000");
}

}  // namespace
}  // namespace com::example::kitchen

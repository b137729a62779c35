// Generated stubs against calls that no proxy of ours makes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rpc/aidl/cpp/kitchen_fixture.h"

// A deprecated method is called like any other.
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

namespace com::example::kitchen {
namespace {

TEST_P(HostileTest, RefusesUnknownCodes) {
  for (const uint32_t code : {0u, IKitchen::TRANSACTION_ping + 1, adyton::rpc::kLastCall - 5, 0xffff'ffffu}) {
    EXPECT_EQ(send(code, token()).transport_error(), TransportError::kUnknownTransaction) << code;
  }
}

TEST_P(HostileTest, RefusesOtherInterfaces) {
  Parcel data;
  data.write_interface_token("com.example.kitchen.IKitchenette");
  data.write_int32(1);
  data.write_int32(2);
  EXPECT_EQ(send(IKitchen::TRANSACTION_add, data).transport_error(), TransportError::kBadType);
  EXPECT_FALSE(send(IKitchen::TRANSACTION_add, Parcel()).is_ok());
  // A proxy for something that the object is not.
  ICookProxy cook(service_);
  EXPECT_FALSE(IKitchenProxy(std::make_shared<Cook>()).add(1, 2));
}

TEST_P(HostileTest, RefusesShortAndWrongArguments) {
  EXPECT_EQ(send(IKitchen::TRANSACTION_add, token()).transport_error(), TransportError::kNotEnoughData);
  // A count that nothing stands behind, of an array that comes and of one that is to be filled.
  for (const uint32_t code :
       {IKitchen::TRANSACTION_reverseInts, IKitchen::TRANSACTION_reverseIngredients, IKitchen::TRANSACTION_reverseStrings}) {
    Parcel data = token();
    data.write_int32(INT32_MAX);
    EXPECT_FALSE(send(code, data).is_ok());
    data = token();
    data.write_int32(0);
    data.write_int32(INT32_MAX);
    EXPECT_EQ(send(code, data).transport_error(), TransportError::kNoMemory);
    data = token();
    data.write_int32(0);
    data.write_int32(-1);
    EXPECT_EQ(send(code, data).transport_error(), TransportError::kUnexpectedNull);
  }
  // A fixed array of another size.
  Parcel data = token();
  data.write_vector(std::span<const int32_t>(std::array{1, 2, 3, 4}));
  EXPECT_EQ(send(IKitchen::TRANSACTION_reverseFixed, data).transport_error(), TransportError::kBadValue);
  // A union of an unknown alternative.
  data = token();
  data.write_int32(1);
  data.write_int32(8);
  EXPECT_EQ(send(IKitchen::TRANSACTION_repeatAmount, data).transport_error(), TransportError::kBadValue);
  // Parcelables in parcelables without end.
  data = token();
  for (int i = 0; i < 5'000; ++i) {
    data.write_int32(1);
    data.write_int32(INT32_MAX);
    data.write_int32(-1);
  }
  EXPECT_FALSE(send(IKitchen::TRANSACTION_repeatRecipe, data).is_ok());
  EXPECT_EQ(value_of(kitchen_->add(1, 1)), 2);
}

// A call cut short anywhere is refused, or answered as what an older peer could have sent.
TEST_P(HostileTest, SurvivesCutAndFlippedCalls) {
  Parcel whole = token();
  Dish dish;
  dish.ingredients = {{"salt", 5}};
  dish.maybeAmount = Amount::make<Amount::Tag::words>("w");
  ASSERT_TRUE(adyton::rpc::write(&whole, dish).is_ok());
  const std::vector<uint8_t> bytes(whole.bytes().begin(), whole.bytes().end());
  const auto call = [&](std::vector<uint8_t> altered) {
    auto parcel = Parcel::received(std::move(altered), {}, {}, nullptr);
    ASSERT_TRUE(parcel);
    Parcel reply;
    static_cast<void>(object_->transact(IKitchen::TRANSACTION_cook, *parcel, &reply));
  };
  for (size_t size = 0; size < bytes.size(); size += 4) call({bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(size)});
  for (size_t i = 0; i < bytes.size(); ++i) {
    for (const uint8_t flip : {0x01, 0x80, 0xff}) {
      std::vector<uint8_t> altered = bytes;
      altered[i] ^= flip;
      call(std::move(altered));
    }
  }
}

}  // namespace
}  // namespace com::example::kitchen

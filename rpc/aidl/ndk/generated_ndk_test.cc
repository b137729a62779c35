// Code for the Android NDK as a service or payload uses it.
#include <android/binder_enums.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include "aidl/com/example/kitchen/BnCook.h"
#include "aidl/com/example/kitchen/BnKitchen.h"
#include "aidl/com/example/kitchen/BpKitchen.h"

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

namespace aidl::com::example {
namespace {

using kitchen::BnCook;
using kitchen::BpKitchen;
using kitchen::ICook;
using kitchen::IKitchen;
using menu::Amount;
using menu::Course;
using menu::Dish;
using menu::Heat;
using menu::Ingredient;
using ::testing::ElementsAre;

class Cook : public BnCook {
 public:
  ndk::ScopedAStatus done(int32_t in_dish, const std::string& in_message) override {
    heard = std::to_string(in_dish) + in_message;
    return ndk::ScopedAStatus::ok();
  }
  ndk::ScopedAStatus ping() override { return ndk::ScopedAStatus::ok(); }
  std::string heard;
};

// Some methods; the others are nobody's.
class Kitchen : public kitchen::IKitchenDelegator {
 public:
  Kitchen() : IKitchenDelegator(ndk::SharedRefBase::make<kitchen::IKitchenDefault>()) {}
  ndk::ScopedAStatus add(int32_t in_a, int32_t in_b, int32_t* _aidl_return) override {
    *_aidl_return = in_a + in_b;
    return ndk::ScopedAStatus::ok();
  }
  ndk::ScopedAStatus cook(const Dish& in_dish, Dish* _aidl_return) override {
    _aidl_return->name = in_dish.name + "!";
    _aidl_return->photo = in_dish.photo.dup();
    return ndk::ScopedAStatus::ok();
  }
  ndk::ScopedAStatus reverseInts(const std::vector<int32_t>& in_value, std::vector<int32_t>* out_repeated,
                                 std::vector<int32_t>* _aidl_return) override {
    size_seen = out_repeated->size();
    *out_repeated = in_value;
    _aidl_return->assign(in_value.rbegin(), in_value.rend());
    return ndk::ScopedAStatus::ok();
  }
  ndk::ScopedAStatus setCook(const std::shared_ptr<ICook>& in_cook) override { return in_cook->done(5, " done"); }
  ndk::ScopedAStatus fail(int32_t, int32_t in_code, const std::string& in_message) override {
    return ndk::ScopedAStatus::fromServiceSpecificErrorWithMessage(in_code, in_message.c_str());
  }
  size_t size_seen = 0;
};

class GeneratedNdkTest : public ::testing::Test {
 protected:
  std::shared_ptr<Kitchen> service_ = ndk::SharedRefBase::make<Kitchen>();
  // By way of parcels, though it is in this process.
  std::shared_ptr<IKitchen> kitchen_ = ndk::SharedRefBase::make<BpKitchen>(service_->asBinder());
};

TEST_F(GeneratedNdkTest, CallsThroughParcels) {
  int32_t sum = 0;
  ASSERT_TRUE(kitchen_->add(2, 3, &sum).isOk());
  EXPECT_EQ(sum, 5);

  std::vector<int32_t> repeated(4);
  std::vector<int32_t> reversed;
  ASSERT_TRUE(kitchen_->reverseInts({1, 2, 3}, &repeated, &reversed).isOk());
  EXPECT_EQ(service_->size_seen, 4u);
  EXPECT_THAT(repeated, ElementsAre(1, 2, 3));
  EXPECT_THAT(reversed, ElementsAre(3, 2, 1));

  Dish dish;
  dish.name = "soup";
  dish.photo = ndk::ScopedFileDescriptor(::memfd_create("photo", MFD_CLOEXEC));
  Dish answer;
  const auto cooked = kitchen_->cook(dish, &answer);
  ASSERT_TRUE(cooked.isOk()) << cooked.getDescription();
  EXPECT_EQ(answer.name, "soup!");
  EXPECT_GE(answer.photo.get(), 0);

  const auto cook = ndk::SharedRefBase::make<Cook>();
  ASSERT_TRUE(kitchen_->setCook(cook).isOk());
  EXPECT_EQ(cook->heard, "5 done");
}

TEST_F(GeneratedNdkTest, CarriesErrors) {
  const auto failed = kitchen_->fail(0, IKitchen::ERROR_BURNT, "smoke");
  EXPECT_EQ(failed.getExceptionCode(), EX_SERVICE_SPECIFIC);
  EXPECT_EQ(failed.getServiceSpecificError(), -1);
  EXPECT_STREQ(failed.getMessage(), "smoke");
  EXPECT_EQ(kitchen_->nothing().getStatus(), STATUS_UNKNOWN_TRANSACTION);
  EXPECT_EQ(kitchen_->setCook(nullptr).getStatus(), STATUS_UNEXPECTED_NULL);
}

TEST_F(GeneratedNdkTest, TellsVersionAndHash) {
  for (int i = 0; i < 2; ++i) {
    int32_t version = 0;
    std::string hash;
    ASSERT_TRUE(kitchen_->getInterfaceVersion(&version).isOk());
    ASSERT_TRUE(kitchen_->getInterfaceHash(&hash).isOk());
    EXPECT_EQ(version, IKitchen::version);
    EXPECT_EQ(hash, IKitchen::hash);
  }
}

TEST_F(GeneratedNdkTest, LocalObjectsAreThemselves) {
  EXPECT_EQ(IKitchen::fromBinder(service_->asBinder()), service_);
  EXPECT_EQ(ICook::fromBinder(service_->asBinder()), nullptr);
  EXPECT_EQ(IKitchen::fromBinder(nullptr), nullptr);
  EXPECT_STREQ(IKitchen::descriptor, "com.example.kitchen.IKitchen");
  EXPECT_FALSE(service_->isRemote());
  EXPECT_EQ(IKitchen::TRANSACTION_nothing, FIRST_CALL_TRANSACTION + 1);
}

TEST(GeneratedNdkDataTest, UnionsHoldOneOfTheirFields) {
  Amount amount;
  EXPECT_EQ(amount.getTag(), Amount::Tag::pieces);
  EXPECT_EQ(amount.get<Amount::Tag::pieces>(), Amount::DOZEN);
  amount.set<Amount::words>("few");
  EXPECT_EQ(amount.get<Amount::words>(), "few");
  EXPECT_EQ(amount, Amount::make<Amount::Tag::words>("few"));
  EXPECT_NE(amount, Amount());
  EXPECT_EQ(Amount::make<Amount::Tag::perGuest>({1, 2}).toString(), "Amount{perGuest: [1, 2]}");
  EXPECT_EQ(Amount(std::string("x")).getTag(), Amount::Tag::words);
}

TEST(GeneratedNdkDataTest, EnumsHaveNamesAndValues) {
  EXPECT_EQ(toString(Course::MAIN), "MAIN");
  EXPECT_EQ(toString(static_cast<Course>(99)), "99");
  EXPECT_EQ(toString(IKitchen::Mood::BUSY), "BUSY");
  EXPECT_EQ(toString(Amount::Tag::grid), "grid");
  std::vector<Course> all;
  for (const Course course : ndk::enum_range<Course>()) all.push_back(course);
  EXPECT_THAT(all, ElementsAre(Course::STARTER, Course::MAIN, Course::DESSERT));
}

TEST(GeneratedNdkDataTest, ParcelablesHaveDefaultsOrderAndText) {
  const Dish dish;
  EXPECT_EQ(dish.heat, Heat::HOT);
  EXPECT_EQ(dish.name, "soup?");
  EXPECT_THAT(dish.perSeat, ElementsAre(1, 2, 3, 4));
  EXPECT_EQ(static_cast<int64_t>(Dish::LOWEST), INT64_MIN);
  EXPECT_STREQ(Ingredient::UNIT, "g");
  Ingredient a;
  Ingredient b;
  EXPECT_EQ(a, b);
  b.name = "salt";
  EXPECT_LT(a, b);
  EXPECT_EQ(b.toString(), "Ingredient{name: salt, grams: 500}");
  EXPECT_STREQ(Ingredient::descriptor, "com.example.menu.Ingredient");
}

}  // namespace
}  // namespace aidl::com::example

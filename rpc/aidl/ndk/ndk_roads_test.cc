// The tests of generated C++ with code for the Android NDK in between: the calls of our proxy are served by an NDK stub, which
// passes them to an NDK proxy, which calls our stub. Whatever one of the four says that another does not understand, fails.
#include <gtest/gtest.h>

#include "aidl/com/example/kitchen/BnKitchen.h"
#include "aidl/com/example/kitchen/BpKitchen.h"
#include "rpc/aidl/cpp/kitchen_fixture.h"
#include "rpc/ndk/bridge.h"

namespace com::example::kitchen {

std::shared_ptr<Binder> through_ndk(const std::shared_ptr<Binder>& service) {
  using namespace ::aidl::com::example::kitchen;
  const ndk::SpAIBinder object(adyton::rpc::ndk_object_of(service));
  const auto proxy = ::aidl::com::example::kitchen::IKitchen::fromBinder(object);
  if (!proxy) return nullptr;
  const auto stub = ndk::SharedRefBase::make<IKitchenDelegator>(proxy);
  return adyton::rpc::binder_of(stub->asBinder().get());
}

constexpr Road kRoads[] = {{"Ndk", false, through_ndk}, {"NdkSession", true, through_ndk}};
INSTANTIATE_TEST_SUITE_P(Roads, GeneratedTest, ::testing::ValuesIn(kRoads), road_name);
INSTANTIATE_TEST_SUITE_P(Roads, HostileTest, ::testing::ValuesIn(kRoads), road_name);

// Keeps the bytes that it is called with.
class Recorder : public adyton::rpc::LocalBinder {
 public:
  std::string interface_descriptor() override { return std::string(IKitchen::kDescriptor); }
  Status on_transact(uint32_t, const Parcel& data, Parcel*, uint32_t) override {
    bytes.assign(data.bytes().begin(), data.bytes().end());
    return Status::from_transport(TransportError::kInvalidOperation);
  }
  std::vector<uint8_t> bytes;
};

TEST(NdkLayoutTest, BothBackEndsWriteTheSameBytes) {
  namespace theirs = ::aidl::com::example;
  const auto recorder = std::make_shared<Recorder>();
  IKitchenProxy ours(recorder);
  const auto ndks = theirs::kitchen::IKitchen::fromBinder(ndk::SpAIBinder(adyton::rpc::ndk_object_of(recorder)));
  ASSERT_NE(ndks, nullptr);
  // What each of two calls that fail has written.
  const auto same = [&](const auto& our_reply, const auto& call_theirs) {
    EXPECT_FALSE(our_reply);
    const std::vector<uint8_t> expected = std::exchange(recorder->bytes, {});
    EXPECT_FALSE(call_theirs().isOk());
    EXPECT_FALSE(expected.empty());
    EXPECT_EQ(recorder->bytes, expected);
  };
  int32_t number = 0;
  same(ours.add(1, -2), [&] { return ndks->add(1, -2, &number); });
  std::string text;
  same(ours.repeatString("gr\xc3\xbc\xc3\x9f"), [&] { return ndks->repeatString("gr\xc3\xbc\xc3\x9f", &text); });
  std::vector<Course> our_courses(2);
  std::vector<theirs::menu::Course> courses(2);
  std::vector<theirs::menu::Course> result;
  same(ours.reverseCourses({Course::MAIN}, &our_courses),
       [&] { return ndks->reverseCourses({theirs::menu::Course::MAIN}, &courses, &result); });
  theirs::menu::Amount amount;
  theirs::menu::Ingredient salt;
  salt.name = "salt";
  same(ours.repeatAmount(Amount::make<Amount::Tag::exactly>(Ingredient{"salt", 500})),
       [&] { return ndks->repeatAmount(theirs::menu::Amount::make<theirs::menu::Amount::Tag::exactly>(salt), &amount); });
  theirs::menu::Dish dish;
  same(ours.cook(Dish()), [&] { return ndks->cook(theirs::menu::Dish(), &dish); });
  Dish extended;
  EXPECT_TRUE(extended.extension.set(Ingredient{"salt", 500}).is_ok());
  theirs::menu::Dish their_extended;
  EXPECT_EQ(their_extended.extension.setParcelable(salt), STATUS_OK);
  same(ours.cook(extended), [&] { return ndks->cook(their_extended, &dish); });
}

}  // namespace com::example::kitchen

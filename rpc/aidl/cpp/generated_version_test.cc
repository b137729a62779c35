// Generated code of one version of an interface against that of another.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "com/example/shop/v1/IShop.h"
#include "com/example/shop/v2/IShop.h"
#include "rpc/parcelable.h"

namespace com::example::shop {
namespace {

using adyton::rpc::Parcel;
using adyton::rpc::Reply;
using adyton::rpc::TransportError;
using ::testing::ElementsAre;

class OldShop : public v1::IShopStub {
 public:
  Reply<v1::Item> improve(const v1::Item& item) override { return v1::Item{item.name + " old", item.price + 1}; }
};

class NewShop : public v2::IShopStub {
 public:
  Reply<v2::Item> improve(const v2::Item& item) override {
    currency_seen = item.currency;
    return v2::Item{item.name + " new", item.price + 2, "USD", {{1, 2}}};
  }
  Reply<int32_t> count() override { return 3; }
  std::string currency_seen;
};

TEST(GeneratedVersionTest, NewClientsUseOldServices) {
  v2::IShopProxy shop(std::make_shared<OldShop>());
  const auto item = shop.improve({"bread", 1, "GBP", {{3}}});
  ASSERT_TRUE(item) << item.error().to_string();
  EXPECT_EQ(*item, (v2::Item{"bread old", 2, "EUR", std::nullopt}));  // what the service does not know keeps its default
  EXPECT_EQ(shop.count().error().transport_error(), TransportError::kUnknownTransaction);
  EXPECT_EQ(shop.getInterfaceVersion(), 1);
  EXPECT_EQ(shop.getInterfaceHash(), "one");
}

TEST(GeneratedVersionTest, OldClientsUseNewServices) {
  const auto service = std::make_shared<NewShop>();
  v1::IShopProxy shop(service);
  const auto item = shop.improve({"bread", 1});
  ASSERT_TRUE(item) << item.error().to_string();
  EXPECT_EQ(*item, (v1::Item{"bread new", 3}));
  EXPECT_EQ(service->currency_seen, "EUR");
  EXPECT_EQ(shop.getInterfaceVersion(), 2);
  EXPECT_EQ(shop.getInterfaceHash(), "two");
}

TEST(GeneratedVersionTest, SkipsNewFieldsInTheMiddleOfAParcel) {
  Parcel parcel;
  ASSERT_TRUE(
      adyton::rpc::write_all(&parcel, std::vector<v2::Item>{{"a", 1, "x", {{1}}}, {"b", 2, "y", std::nullopt}}, 7).is_ok());
  std::vector<v1::Item> items;
  int32_t behind = 0;
  ASSERT_TRUE(adyton::rpc::read_all(parcel, &items, &behind).is_ok());
  EXPECT_THAT(items, ElementsAre(v1::Item{"a", 1}, v1::Item{"b", 2}));
  EXPECT_EQ(behind, 7);
}

}  // namespace
}  // namespace com::example::shop

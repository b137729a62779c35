// Generated code at work: every type through proxy, parcel and stub, in this process and over a session.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "rpc/aidl/cpp/kitchen_fixture.h"

// A deprecated method is called like any other.
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

namespace com::example::kitchen {
namespace {

TEST_P(GeneratedTest, RepeatsValues) {
  EXPECT_EQ(value_of(kitchen_->add(2, 3)), 5);
  EXPECT_TRUE(kitchen_->nothing());
  EXPECT_EQ(value_of(kitchen_->repeatBoolean(true)), true);
  EXPECT_EQ(value_of(kitchen_->repeatByte(-128)), -128);
  EXPECT_EQ(value_of(kitchen_->repeatChar(u'\xffff')), u'\xffff');
  EXPECT_EQ(value_of(kitchen_->repeatLong(INT64_MIN)), INT64_MIN);
  EXPECT_EQ(value_of(kitchen_->repeatFloat(1.5f)), 1.5f);
  EXPECT_EQ(value_of(kitchen_->repeatDouble(0.1)), 0.1);
  EXPECT_EQ(value_of(kitchen_->repeatString("gr\xc3\xbc\xc3\x9f \xf0\x9f\x8d\xb2")), "gr\xc3\xbc\xc3\x9f \xf0\x9f\x8d\xb2");
  EXPECT_EQ(value_of(kitchen_->repeatNullableString(std::nullopt)), std::nullopt);
  EXPECT_EQ(value_of(kitchen_->repeatNullableString("x")), "x");
  EXPECT_EQ(value_of(kitchen_->repeatCourse(Course::DESSERT)), Course::DESSERT);
  EXPECT_EQ(value_of(kitchen_->repeatCourse(static_cast<Course>(99))), static_cast<Course>(99));
  EXPECT_EQ(value_of(kitchen_->repeatMood(IKitchen::Mood::CLOSED)), IKitchen::Mood::CLOSED);
  EXPECT_EQ(value_of(kitchen_->explicitTwo()), 2);
  EXPECT_EQ(value_of(kitchen_->ping()), IKitchen::Mood::BUSY);
  EXPECT_TRUE(kitchen_->forget(1));
}

TEST_P(GeneratedTest, RefusesTextThatIsNoUtf8) {
  const auto reply = kitchen_->repeatString("\xff");
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().transport_error(), TransportError::kBadValue);
}

TEST_P(GeneratedTest, CarriesEveryFieldOfAParcelable) {
  Dish dish;
  dish.hot = false;
  dish.nickname = "nick";
  dish.letters = {u'a', u'\0'};
  dish.longs = {INT64_MAX, -1};
  dish.floats = {0.5f};
  dish.doubles = {-0.25};
  dish.heats = {Heat::NEGATIVE, Heat::HOT};
  dish.order = Order::HUGE;
  dish.ingredients = {{"salt", 5}, {"pepper", 1}};
  dish.tags = {"", "x"};
  dish.extras = {{"oil", 2}};
  dish.maybeNumbers = {{4, 5}};
  dish.maybeBytes = {{6, 7, 8}};
  dish.maybeWords = {{std::nullopt, "w"}};
  dish.maybeIngredients = {{std::nullopt, Ingredient{"egg", 60}}};
  dish.maybeTags = {{"t", std::nullopt}};
  dish.grid = {{{1, 2, 3}, {4, 5, 6}}};
  dish.pair = {"p", "q"};
  dish.two = {{{"a", 1}, {"b", 2}}};
  dish.maybePair = {{std::nullopt, "pair"}};
  dish.main = {"rice", 200};
  dish.maybe = Ingredient{"maybe", 1};
  dish.heap = std::make_unique<Ingredient>(Ingredient{"heap", 2});
  dish.side = {"fries", Dish::State::RAW};
  dish.amount.set<Amount::Tag::words>("plenty");
  dish.maybeAmount = Amount::make<Amount::Tag::heat>(Heat::MILD);
  dish.box.label = "box";
  dish.weight = Weight(12);
  dish.maybeWeight = Weight(13);
  const auto cook = std::make_shared<Cook>();
  dish.token = cook;
  dish.cook = cook;
  dish.cooks = {{nullptr, cook}};
  dish.photo = file_with("photo");
  dish.photos.push_back(file_with("first"));
  dish.maybePhotos.emplace();
  dish.maybePhotos->push_back(std::nullopt);
  dish.maybePhotos->push_back(file_with("second"));

  ASSERT_TRUE(dish.extension.set(Amount::make<Amount::Tag::exactly>(Ingredient{"saffron", 1})).is_ok());

  auto reply = kitchen_->cook(dish);
  ASSERT_TRUE(reply) << reply.error().to_string();
  EXPECT_EQ(reply->count, dish.count + 1);
  EXPECT_EQ(reply->extension, dish.extension);
  const auto extension = reply->extension.get<Amount>();
  ASSERT_TRUE(extension && *extension);
  EXPECT_EQ((*extension)->get<Amount::Tag::exactly>().name, "saffron");
  EXPECT_FALSE(reply->extension.get<Ingredient>()) << "it is something else";
  EXPECT_EQ(reply->cook, cook);
  EXPECT_EQ(reply->token, cook);
  EXPECT_THAT(reply->cooks, ::testing::Optional(ElementsAre(nullptr, cook)));
  ASSERT_TRUE(reply->photo);
  EXPECT_EQ(content_of(*reply->photo), "photo");
  ASSERT_EQ(reply->photos.size(), 1u);
  EXPECT_EQ(content_of(reply->photos[0]), "first");
  ASSERT_EQ(reply->maybePhotos.value().size(), 2u);
  EXPECT_FALSE(reply->maybePhotos->at(0));
  EXPECT_EQ(content_of(reply->maybePhotos->at(1).value()), "second");
  // All the rest is text that must be the same but for descriptors' numbers.
  reply->count = dish.count;
  for (Dish* each : {&dish, &*reply}) {
    each->photo.reset();
    each->photos.clear();
    each->maybePhotos.reset();
  }
  EXPECT_EQ(reply->to_string(), dish.to_string());
}

TEST_P(GeneratedTest, CarriesADishOfDefaults) {
  const Dish dish;
  auto reply = kitchen_->cook(dish);
  ASSERT_TRUE(reply) << reply.error().to_string();
  reply->count = dish.count;
  EXPECT_EQ(reply->to_string(), dish.to_string());
  EXPECT_EQ(reply->token, nullptr);
  EXPECT_EQ(reply->cooks, std::nullopt);
}

TEST_P(GeneratedTest, CarriesOtherParcelables) {
  EXPECT_EQ(value_of(kitchen_->repeatNullableIngredient(std::nullopt)), std::nullopt);
  EXPECT_EQ(value_of(kitchen_->repeatNullableIngredient(Ingredient{"x", 1})), (Ingredient{"x", 1}));
  EXPECT_EQ(value_of(kitchen_->repeatWeight(Weight(5))), Weight(5));
  Box<Ingredient> box{.label = "l", .count = 4};
  EXPECT_EQ(value_of(kitchen_->repeatBox(box)), box);
  IKitchen::Report report;
  report.mood = IKitchen::Mood::BUSY;
  report.lines = {"a", "b"};
  EXPECT_EQ(value_of(kitchen_->report(report)), report);

  Recipe recipe{.step = "stir"};
  recipe.before = std::make_unique<Recipe>(Recipe{.step = "cut"});
  recipe.parts.push_back(Recipe{.step = "boil"});
  recipe.parts[0].parts.push_back(Recipe{.step = "fill"});
  EXPECT_EQ(value_of(kitchen_->repeatRecipe(recipe)), recipe);
}

TEST_P(GeneratedTest, CarriesEveryAlternativeOfAUnion) {
  using Tag = Amount::Tag;
  const auto repeat = [&](Amount amount) {
    Amount back = value_of(kitchen_->repeatAmount(amount));
    EXPECT_EQ(back.tag(), amount.tag());
    if (amount.tag() != Tag::photo) { EXPECT_EQ(back.to_string(), amount.to_string()); }
    return back;
  };
  EXPECT_EQ(repeat(Amount()).get<Tag::pieces>(), 12);
  repeat(Amount::make<Tag::words>("few"));
  repeat(Amount::make<Tag::perGuest>(std::vector<int32_t>{1, 2}));
  repeat(Amount::make<Tag::exactly>(Ingredient{"x", 2}));
  repeat(Amount::make<Tag::heat>(Heat::HOT));
  repeat(Amount::make<Tag::note>(std::nullopt));
  repeat(Amount::make<Tag::note>("note"));
  repeat(Amount::make<Tag::grid>(std::array<std::array<int32_t, 3>, 2>{{{1, 2, 3}, {4, 5, 6}}}));
  EXPECT_EQ(content_of(repeat(Amount::make<Tag::photo>(file_with("pic"))).get<Tag::photo>()), "pic");

  for (const auto& choice : {IKitchen::Choice(), IKitchen::Choice::make<IKitchen::Choice::Tag::text>("t"),
                             IKitchen::Choice::make<IKitchen::Choice::Tag::report>()}) {
    EXPECT_EQ(value_of(kitchen_->repeatChoice(choice)), choice);
  }
}

TEST_P(GeneratedTest, CarriesArraysBothWays) {
  const auto check = [](auto reply, const auto& value, const auto& repeated) {
    ASSERT_TRUE(reply) << reply.error().to_string();
    EXPECT_EQ(repeated, value);
    auto expected = value;
    std::reverse(expected.begin(), expected.end());
    EXPECT_EQ(*reply, expected);
  };
  Kitchen::sizes_seen.clear();
  const auto go = [&]<typename T>(auto method, std::vector<T> value) {
    std::vector<T> repeated(5);
    check(((*kitchen_).*method)(value, &repeated), value, repeated);
    std::vector<T> none(7);
    check(((*kitchen_).*method)(std::vector<T>{}, &none), std::vector<T>{}, none);
  };
  go(&IKitchen::reverseBooleans, std::vector<bool>{true, false, false});
  go(&IKitchen::reverseBytes, std::vector<uint8_t>{1, 255, 3, 4, 5});
  go(&IKitchen::reverseChars, std::vector<char16_t>{u'a', u'\xd800'});
  go(&IKitchen::reverseInts, std::vector<int32_t>{INT32_MIN, 0, 5});
  go(&IKitchen::reverseLongs, std::vector<int64_t>{INT64_MIN, 0, 5});
  go(&IKitchen::reverseFloats, std::vector<float>{0.5f, -1});
  go(&IKitchen::reverseDoubles, std::vector<double>{0.5, -1});
  go(&IKitchen::reverseStrings, std::vector<std::string>{"a", "", "ccc"});
  go(&IKitchen::reverseCourses, std::vector<Course>{Course::STARTER, Course::MAIN});
  go(&IKitchen::reverseHeats, std::vector<Heat>{Heat::HOT, Heat::NEGATIVE});
  go(&IKitchen::reverseIngredients, std::vector<Ingredient>{{"a", 1}, {"b", 2}});
  // The service sees how long the caller's arrays are.
  ASSERT_EQ(Kitchen::sizes_seen.size(), 22u);
  for (size_t i = 0; i < Kitchen::sizes_seen.size(); ++i) EXPECT_EQ(Kitchen::sizes_seen[i], i % 2 == 0 ? 5u : 7u);

  std::vector<std::string> list{"old"};
  check(kitchen_->reverseList({"a", "b"}, &list), std::vector<std::string>{"a", "b"}, list);
  std::array<int32_t, 3> fixed{};
  check(kitchen_->reverseFixed({1, 2, 3}, &fixed), std::array{1, 2, 3}, fixed);
  EXPECT_EQ(value_of(kitchen_->repeatNullableInts(std::nullopt)), std::nullopt);
  EXPECT_EQ(value_of(kitchen_->repeatNullableInts({{1, 2}})), (std::vector<int32_t>{1, 2}));
  EXPECT_EQ(value_of(kitchen_->repeatNullableStrings(std::nullopt)), std::nullopt);
  EXPECT_EQ(value_of(kitchen_->repeatNullableStrings({{"a", std::nullopt}})),
            (std::vector<std::optional<std::string>>{"a", std::nullopt}));
}

TEST_P(GeneratedTest, CarriesInoutAndNullableOutArguments) {
  Ingredient ingredient{"egg", 60};
  std::vector<int32_t> numbers{1};
  std::optional<std::vector<int32_t>> counts;
  ASSERT_TRUE(kitchen_->season(&ingredient, &numbers, &counts));
  EXPECT_EQ(ingredient, (Ingredient{"egg with salt", 60}));
  EXPECT_THAT(numbers, ElementsAre(1, 60));
  EXPECT_EQ(service_->counts_seen, -1);
  EXPECT_THAT(counts, ::testing::Optional(ElementsAre(1, 2)));
  ASSERT_TRUE(kitchen_->season(&ingredient, &numbers, &counts));
  EXPECT_EQ(service_->counts_seen, 2);
  EXPECT_EQ(counts, std::nullopt);
}

TEST_P(GeneratedTest, CarriesObjects) {
  const auto cook = std::make_shared<Cook>();
  ASSERT_TRUE(kitchen_->setCook(cook));
  EXPECT_EQ(cook->wait(), "7 served");
  // Our own object comes back as itself.
  EXPECT_EQ(value_of(kitchen_->getCook()), cook);
  EXPECT_EQ(value_of(kitchen_->repeatCook(cook)), cook);
  EXPECT_EQ(value_of(kitchen_->repeatCook(nullptr)), nullptr);
  EXPECT_EQ(value_of(kitchen_->repeatBinder(cook)), cook);
  EXPECT_EQ(value_of(kitchen_->repeatNullableBinder(nullptr)), nullptr);
  EXPECT_THAT(value_of(kitchen_->repeatBinders({cook, cook})), ElementsAre(cook, cook));
  EXPECT_THAT(value_of(kitchen_->repeatCooks({cook})), ElementsAre(cook));
  // And theirs as one to call.
  const auto waiter = value_of(kitchen_->waiter("Good evening"));
  ASSERT_NE(waiter, nullptr);
  EXPECT_EQ(value_of(waiter->say("the menu")), "Good evening, the menu");
}

TEST_P(GeneratedTest, RefusesNullWhereItMayNotBe) {
  for (const Status& status : {kitchen_->setCook(nullptr).error(), kitchen_->repeatBinder(nullptr).error(),
                               kitchen_->repeatCooks({nullptr}).error(), kitchen_->repeatPhoto(UniqueFd()).error()}) {
    EXPECT_EQ(status.transport_error(), TransportError::kUnexpectedNull) << status.to_string();
  }
  service_->null_answers = true;
  const auto reply = kitchen_->repeatBinder(std::make_shared<Cook>());
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().transport_error(), TransportError::kUnexpectedNull);
}

TEST_P(GeneratedTest, CarriesFileDescriptors) {
  EXPECT_EQ(content_of(value_of(kitchen_->repeatPhoto(file_with("one")))), "one");
  const auto none = value_of(kitchen_->repeatNullablePhoto(std::nullopt));
  EXPECT_FALSE(none);
  EXPECT_EQ(content_of(value_of(kitchen_->repeatNullablePhoto(file_with("two"))).value()), "two");
  std::vector<UniqueFd> photos;
  photos.push_back(file_with("a"));
  photos.push_back(file_with("b"));
  const auto back = value_of(kitchen_->repeatPhotos(photos));
  ASSERT_EQ(back.size(), 2u);
  EXPECT_EQ(content_of(back[0]) + content_of(back[1]), "ab");
}

TEST_P(GeneratedTest, CarriesExceptions) {
  const auto specific = kitchen_->fail(static_cast<int32_t>(Exception::kServiceSpecific), IKitchen::ERROR_BURNT, "smoke");
  ASSERT_FALSE(specific);
  EXPECT_EQ(specific.error(), Status::from_service_specific(-1, "smoke"));
  const auto illegal = kitchen_->fail(static_cast<int32_t>(Exception::kIllegalArgument), 0, "no");
  ASSERT_FALSE(illegal);
  EXPECT_EQ(illegal.error(), Status::from_exception(Exception::kIllegalArgument, "no"));
}

TEST_P(GeneratedTest, SurvivesCppExceptions) {
  EXPECT_EQ(kitchen_->throwsUp("too hot").error(),
            Status::from_exception(Exception::kIllegalState, "uncaught exception: too hot"));
  EXPECT_EQ(kitchen_->throwsUp("").error(), Status::from_exception(Exception::kIllegalState, "uncaught exception"));
  EXPECT_EQ(value_of(kitchen_->add(1, 1)), 2);
}

TEST_P(GeneratedTest, RingsOneway) {
  EXPECT_TRUE(kitchen_->ring("throw"));
  EXPECT_EQ(service_->rung.get_future().get(), "throw");
  EXPECT_EQ(value_of(kitchen_->add(1, 1)), 2);
}

TEST_P(GeneratedTest, TellsVersionAndHash) {
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(value_of(kitchen_->getInterfaceVersion()), 3);
    EXPECT_EQ(value_of(kitchen_->getInterfaceHash()), "cafe");
  }
  EXPECT_EQ(IKitchen::kVersion, 3);
  EXPECT_EQ(IKitchen::kHash, "cafe");
}

// --- What needs no call ---

TEST(GeneratedInterfaceTest, LocalObjectsAreThemselves) {
  const auto service = std::make_shared<Kitchen>();
  EXPECT_EQ(IKitchen::from_binder(service), service);
  EXPECT_EQ(IKitchen::from_binder(nullptr), nullptr);
  EXPECT_EQ(IKitchen::from_binder(std::make_shared<Cook>()), nullptr);
  EXPECT_EQ(service->as_binder(), service);
  EXPECT_EQ(service->interface_descriptor(), "com.example.kitchen.IKitchen");
  EXPECT_EQ(service->method_name(IKitchen::TRANSACTION_repeatChar), "repeatChar");
  EXPECT_EQ(service->method_name(adyton::rpc::kLastCall), "");
}

// An object that implements an interface without its stub.
class HandWritten : public adyton::rpc::LocalBinder {
 public:
  std::string interface_descriptor() override { return std::string(IKitchen::IWaiter::kDescriptor); }
  Status on_transact(uint32_t, const Parcel&, Parcel* reply, uint32_t) override {
    return adyton::rpc::write_reply(reply, Reply<std::string>("by hand"));
  }
};

TEST(GeneratedInterfaceTest, LocalObjectsWithoutStubGetAProxy) {
  const auto waiter = IKitchen::IWaiter::from_binder(std::make_shared<HandWritten>());
  ASSERT_NE(waiter, nullptr);
  EXPECT_EQ(value_of(waiter->say("x")), "by hand");
}

// Keeps the flags that calls come with.
class Recorder : public adyton::rpc::LocalBinder {
 public:
  std::string interface_descriptor() override { return std::string(ICook::kDescriptor); }
  Status on_transact(uint32_t, const Parcel&, Parcel*, uint32_t flags) override {
    flags_seen.push_back(flags);
    return {};
  }
  std::vector<uint32_t> flags_seen;
};

TEST(GeneratedInterfaceTest, OnewayInterfacesHaveOnewayMethods) {
  const auto recorder = std::make_shared<Recorder>();
  const auto cook = ICook::from_binder(recorder);
  EXPECT_TRUE(cook->done(1, "x"));
  EXPECT_TRUE(cook->ping());
  EXPECT_TRUE(IKitchenProxy(recorder).ring("x"));
  EXPECT_FALSE(IKitchenProxy(recorder).nothing());  // an answer without a status
  EXPECT_THAT(recorder->flags_seen, ElementsAre(adyton::rpc::kOneway, adyton::rpc::kOneway, adyton::rpc::kOneway, 0u));
}

TEST(GeneratedInterfaceTest, DefaultsKnowNothing) {
  IKitchenDefault nobody;
  EXPECT_EQ(nobody.add(1, 2).error().transport_error(), TransportError::kUnknownTransaction);
  EXPECT_EQ(value_of(nobody.getInterfaceVersion()), 0);
  EXPECT_EQ(value_of(nobody.getInterfaceHash()), "");
  EXPECT_EQ(nobody.as_binder(), nullptr);
}

TEST(GeneratedInterfaceTest, NumbersTransactionsInOrder) {
  EXPECT_EQ(IKitchen::TRANSACTION_add, 1u);
  EXPECT_EQ(IKitchen::TRANSACTION_nothing, 2u);
  EXPECT_EQ(ICook::TRANSACTION_ping, 2u);
}

TEST(GeneratedEnumTest, HasNamesAndValues) {
  EXPECT_EQ(to_string(Course::MAIN), "MAIN");
  EXPECT_EQ(to_string(static_cast<Course>(-3)), "-3");
  EXPECT_EQ(to_string(IKitchen::Mood::CLOSED), "CLOSED");
  EXPECT_EQ(to_string(Amount::Tag::perGuest), "perGuest");
  EXPECT_THAT(adyton::rpc::enum_values<Course>(), ElementsAre(Course::STARTER, Course::MAIN, Course::DESSERT));
  EXPECT_THAT(adyton::rpc::enum_values<IKitchen::Choice::Tag>(),
              ElementsAre(IKitchen::Choice::Tag::number, IKitchen::Choice::Tag::text, IKitchen::Choice::Tag::report));
  EXPECT_EQ(static_cast<int>(Heat::HOT), 32);
  EXPECT_EQ(static_cast<int>(Course::DESSERT), 16);
  static_assert(std::is_same_v<std::underlying_type_t<Course>, int8_t>);
  static_assert(std::is_same_v<std::underlying_type_t<Order>, int64_t>);
}

TEST(GeneratedConstantTest, HasValues) {
  EXPECT_EQ(Dish::LOWEST, INT64_MIN);
  EXPECT_EQ(Dish::STAR, u'*');
  EXPECT_EQ(Dish::PI, 3.14f);
  EXPECT_EQ(Dish::NAMES[1], "b");
  EXPECT_EQ(IKitchen::MOTTO, "a la carte");
  const Dish dish;
  EXPECT_EQ(dish.small, -128);
  EXPECT_EQ(dish.heat, Heat::HOT);
  EXPECT_EQ(dish.side.state, Dish::State::COOKED);
  EXPECT_THAT(dish.perSeat, ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(dish.flags, ElementsAre(true, false));
  EXPECT_EQ(Ingredient().grams, 500);
}

TEST(GeneratedParcelableTest, IsTextForPeople) {
  EXPECT_EQ((Ingredient{"salt \"fine\"", 5}.to_string()), R"(Ingredient{name: "salt \"fine\"", grams: 5})");
  EXPECT_EQ((Amount::make<Amount::Tag::perGuest>(std::vector<int32_t>{1, 2}).to_string()), "Amount{perGuest: [1, 2]}");
  EXPECT_EQ(Recipe{.step = "s"}.to_string(), R"(Recipe{step: "s", before: null, parts: []})");
}

}  // namespace
}  // namespace com::example::kitchen

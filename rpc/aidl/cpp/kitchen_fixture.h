// A service of every type, and both roads to it, for tests of generated code.
#pragma once
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <future>
#include <stdexcept>

#include "com/example/kitchen/ICook.h"
#include "com/example/kitchen/IKitchen.h"
#include "rpc/server.h"
#include "rpc/session.h"

namespace com::example::kitchen {

using adyton::UniqueFd;
using adyton::rpc::Binder;
using adyton::rpc::Exception;
using adyton::rpc::Parcel;
using adyton::rpc::Reply;
using adyton::rpc::Status;
using adyton::rpc::TransportError;
using menu::Amount;
using menu::Box;
using menu::Course;
using menu::Dish;
using menu::Heat;
using menu::Ingredient;
using menu::Order;
using menu::Recipe;
using menu::Weight;
using ::testing::ElementsAre;

// What has `content` in it.
inline UniqueFd file_with(std::string_view content) {
  UniqueFd fd(::memfd_create("photo", MFD_CLOEXEC));
  EXPECT_EQ(::write(fd.get(), content.data(), content.size()), static_cast<ssize_t>(content.size()));
  return fd;
}

inline std::string content_of(const UniqueFd& fd) {
  char buffer[64];
  const ssize_t size = ::pread(fd.get(), buffer, sizeof buffer, 0);
  return size < 0 ? "unreadable" : std::string(buffer, static_cast<size_t>(size));
}

inline UniqueFd same(const UniqueFd& fd) { return UniqueFd(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0)); }

class Cook : public ICookStub {
 public:
  Reply<> done(int32_t dish, const std::string& message) override {
    done_.set_value(std::to_string(dish) + message);
    return {};
  }
  Reply<> ping() override { return {}; }
  std::string wait() { return done_.get_future().get(); }

 private:
  std::promise<std::string> done_;
};

class Waiter : public IKitchen::IWaiterStub {
 public:
  explicit Waiter(std::string greeting) : greeting_(std::move(greeting)) {}
  Reply<std::string> say(const std::string& text) override { return greeting_ + ", " + text; }

 private:
  std::string greeting_;
};

// Gives back what it gets.
class Kitchen : public IKitchenStub {
 public:
  Reply<int32_t> add(int32_t a, int32_t b) override { return a + b; }
  Reply<> nothing() override { return {}; }
  Reply<bool> repeatBoolean(bool value) override { return value; }
  Reply<int8_t> repeatByte(int8_t value) override { return value; }
  Reply<char16_t> repeatChar(char16_t value) override { return value; }
  Reply<int64_t> repeatLong(int64_t value) override { return value; }
  Reply<float> repeatFloat(float value) override { return value; }
  Reply<double> repeatDouble(double value) override { return value; }
  Reply<std::string> repeatString(const std::string& value) override { return value; }
  Reply<std::optional<std::string>> repeatNullableString(const std::optional<std::string>& value) override { return value; }
  Reply<Course> repeatCourse(Course value) override { return value; }
  Reply<Mood> repeatMood(Mood value) override { return value; }
  Reply<Dish> cook(const Dish& dish) override {
    // Move-only: by way of a parcel.
    Parcel parcel;
    if (Status status = adyton::rpc::write(&parcel, dish); !status.is_ok()) return std::unexpected(status);
    Dish copy;
    if (Status status = adyton::rpc::read(parcel, &copy); !status.is_ok()) return std::unexpected(status);
    ++copy.count;
    return copy;
  }
  Reply<std::optional<Ingredient>> repeatNullableIngredient(const std::optional<Ingredient>& value) override { return value; }
  Reply<Amount> repeatAmount(const Amount& value) override {
    if (const auto* photo = value.get_if<Amount::Tag::photo>()) return Amount::make<Amount::Tag::photo>(same(*photo));
    Amount out;
    switch (value.tag()) {
      case Amount::Tag::pieces: out.set<Amount::Tag::pieces>(value.get<Amount::Tag::pieces>()); break;
      case Amount::Tag::words: out.set<Amount::Tag::words>(value.get<Amount::Tag::words>()); break;
      case Amount::Tag::perGuest: out.set<Amount::Tag::perGuest>(value.get<Amount::Tag::perGuest>()); break;
      case Amount::Tag::exactly: out.set<Amount::Tag::exactly>(value.get<Amount::Tag::exactly>()); break;
      case Amount::Tag::heat: out.set<Amount::Tag::heat>(value.get<Amount::Tag::heat>()); break;
      case Amount::Tag::note: out.set<Amount::Tag::note>(value.get<Amount::Tag::note>()); break;
      case Amount::Tag::grid: out.set<Amount::Tag::grid>(value.get<Amount::Tag::grid>()); break;
      case Amount::Tag::photo: break;
    }
    return out;
  }
  Reply<Choice> repeatChoice(const Choice& value) override { return value; }
  Reply<Recipe> repeatRecipe(const Recipe& value) override { return copy(value); }
  Reply<Weight> repeatWeight(const Weight& value) override { return value; }
  Reply<Box<Ingredient>> repeatBox(const Box<Ingredient>& value) override { return value; }
  Reply<Report> report(const Report& value) override { return value; }

  template <typename T>
  static std::vector<T> reversed(const auto& value, std::vector<T>* repeated) {
    sizes_seen.push_back(repeated->size());
    repeated->assign(value.begin(), value.end());
    return {value.rbegin(), value.rend()};
  }
  Reply<std::vector<bool>> reverseBooleans(const std::vector<bool>& value, std::vector<bool>* repeated) override {
    return reversed(value, repeated);
  }
  Reply<std::vector<uint8_t>> reverseBytes(std::span<const uint8_t> value, std::vector<uint8_t>* repeated) override {
    return reversed(value, repeated);
  }
  Reply<std::vector<char16_t>> reverseChars(std::span<const char16_t> value, std::vector<char16_t>* repeated) override {
    return reversed(value, repeated);
  }
  Reply<std::vector<int32_t>> reverseInts(std::span<const int32_t> value, std::vector<int32_t>* repeated) override {
    return reversed(value, repeated);
  }
  Reply<std::vector<int64_t>> reverseLongs(std::span<const int64_t> value, std::vector<int64_t>* repeated) override {
    return reversed(value, repeated);
  }
  Reply<std::vector<float>> reverseFloats(std::span<const float> value, std::vector<float>* repeated) override {
    return reversed(value, repeated);
  }
  Reply<std::vector<double>> reverseDoubles(std::span<const double> value, std::vector<double>* repeated) override {
    return reversed(value, repeated);
  }
  Reply<std::vector<std::string>> reverseStrings(const std::vector<std::string>& value,
                                                 std::vector<std::string>* repeated) override {
    return reversed(value, repeated);
  }
  Reply<std::vector<Course>> reverseCourses(const std::vector<Course>& value, std::vector<Course>* repeated) override {
    return reversed(value, repeated);
  }
  Reply<std::vector<Heat>> reverseHeats(const std::vector<Heat>& value, std::vector<Heat>* repeated) override {
    return reversed(value, repeated);
  }
  Reply<std::vector<Ingredient>> reverseIngredients(const std::vector<Ingredient>& value,
                                                    std::vector<Ingredient>* repeated) override {
    return reversed(value, repeated);
  }
  Reply<std::vector<std::string>> reverseList(const std::vector<std::string>& value,
                                              std::vector<std::string>* repeated) override {
    return reversed(value, repeated);
  }
  Reply<std::array<int32_t, 3>> reverseFixed(const std::array<int32_t, 3>& value, std::array<int32_t, 3>* repeated) override {
    *repeated = value;
    return std::array{value[2], value[1], value[0]};
  }
  Reply<std::optional<std::vector<int32_t>>> repeatNullableInts(const std::optional<std::vector<int32_t>>& value) override {
    return value;
  }
  Reply<std::optional<std::vector<std::optional<std::string>>>> repeatNullableStrings(
      const std::optional<std::vector<std::optional<std::string>>>& value) override {
    return value;
  }

  Reply<> season(Ingredient* ingredient, std::vector<int32_t>* numbers, std::optional<std::vector<int32_t>>* counts) override {
    counts_seen = *counts ? static_cast<int>((*counts)->size()) : -1;
    ingredient->name += " with salt";
    numbers->push_back(ingredient->grams);
    if (*counts) {
      counts->reset();
    } else {
      *counts = {1, 2};
    }
    return {};
  }

  Reply<> setCook(const std::shared_ptr<ICook>& cook) override {
    cook_ = cook;
    return cook->done(7, " served");
  }
  Reply<std::shared_ptr<ICook>> getCook() override { return cook_; }
  Reply<std::shared_ptr<ICook>> repeatCook(const std::shared_ptr<ICook>& cook) override { return cook; }
  Reply<std::shared_ptr<Binder>> repeatBinder(const std::shared_ptr<Binder>& value) override {
    return null_answers ? nullptr : value;
  }
  Reply<std::shared_ptr<Binder>> repeatNullableBinder(const std::shared_ptr<Binder>& value) override { return value; }
  Reply<std::vector<std::shared_ptr<Binder>>> repeatBinders(const std::vector<std::shared_ptr<Binder>>& value) override {
    return value;
  }
  Reply<std::shared_ptr<IWaiter>> waiter(const std::string& greeting) override { return std::make_shared<Waiter>(greeting); }
  Reply<std::vector<std::shared_ptr<ICook>>> repeatCooks(const std::vector<std::shared_ptr<ICook>>& value) override {
    return value;
  }
  Reply<UniqueFd> repeatPhoto(const UniqueFd& photo) override { return same(photo); }
  Reply<std::optional<UniqueFd>> repeatNullablePhoto(const std::optional<UniqueFd>& photo) override {
    if (!photo) return std::nullopt;
    return same(*photo);
  }
  Reply<std::vector<UniqueFd>> repeatPhotos(const std::vector<UniqueFd>& photos) override {
    std::vector<UniqueFd> out;
    for (const UniqueFd& photo : photos) out.push_back(same(photo));
    return out;
  }
  Reply<> fail(int32_t exception, int32_t code, const std::string& message) override {
    if (exception == static_cast<int32_t>(Exception::kServiceSpecific))
      return std::unexpected(Status::from_service_specific(code, message));
    return adyton::rpc::fail(static_cast<Exception>(exception), message);
  }
  Reply<> throwsUp(const std::string& what) override {
    if (what.empty()) throw 5;
    throw std::runtime_error(what);
  }
  Reply<> ring(const std::string& bell) override {
    rung.set_value(bell);
    if (bell == "throw") throw std::runtime_error(bell);
    return {};
  }
  Reply<> forget(int32_t) override { return {}; }
  Reply<int32_t> explicitTwo() override { return 2; }
  Reply<Mood> ping() override { return Mood::BUSY; }

  static Recipe copy(const Recipe& from) {
    Recipe to{.step = from.step};
    if (from.before) to.before = std::make_unique<Recipe>(copy(*from.before));
    for (const Recipe& part : from.parts) to.parts.push_back(copy(part));
    return to;
  }

  std::promise<std::string> rung;
  bool null_answers = false;
  int counts_seen = 0;
  static inline std::vector<size_t> sizes_seen;

 private:
  std::shared_ptr<ICook> cook_;
};

// How calls reach the service.
struct Road {
  const char* name;
  bool session;  // else in this process, by way of parcels all the same
  // Puts something in front of the service that calls it.
  std::shared_ptr<Binder> (*in_front_of)(const std::shared_ptr<Binder>& service) = nullptr;
};

// A kitchen, and a proxy for it that goes through parcels whatever the road.
class GeneratedTest : public ::testing::TestWithParam<Road> {
 protected:
  void SetUp() override {
    if (GetParam().in_front_of != nullptr) object_ = GetParam().in_front_of(service_);
    if (!GetParam().session) {
      kitchen_ = std::make_shared<IKitchenProxy>(object_);
      return;
    }
    server_.set_root(object_);
    int ends[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    ASSERT_TRUE(server_.add_bootstrap(UniqueFd(ends[0])));
    auto session = adyton::rpc::Session::connect(adyton::rpc::connector_over(std::make_shared<UniqueFd>(ends[1])),
                                                 {.incoming_connections = 1, .fd_passing = adyton::rpc::FdPassing::kUnix});
    ASSERT_TRUE(session) << session.error().message;
    session_ = *session;
    auto root = session_->root();
    ASSERT_TRUE(root) << root.error().to_string();
    kitchen_ = IKitchen::from_binder(*root);
    ASSERT_NE(kitchen_, nullptr);
    ASSERT_EQ((*root)->local(), nullptr);
  }
  void TearDown() override {
    kitchen_.reset();
    if (session_) session_->shutdown_and_wait();
    server_.shutdown();
  }

  std::shared_ptr<Kitchen> service_ = std::make_shared<Kitchen>();
  std::shared_ptr<Binder> object_ = service_;
  adyton::rpc::Server server_{{.max_threads = 2, .allow_fds = true}};
  std::shared_ptr<adyton::rpc::Session> session_;
  std::shared_ptr<IKitchen> kitchen_;
};

template <typename T>
T value_of(Reply<T> reply) {
  EXPECT_TRUE(reply.has_value()) << reply.error().to_string();
  return reply ? std::move(*reply) : T{};
}

// With bytes of the test's own making.
class HostileTest : public GeneratedTest {
 protected:
  Status send(uint32_t code, const Parcel& data) {
    Parcel reply;
    return kitchen_->as_binder()->transact(code, data, &reply);
  }
  static Parcel token() {
    Parcel data;
    data.write_interface_token(IKitchen::kDescriptor);
    return data;
  }
};

inline std::string road_name(const ::testing::TestParamInfo<Road>& info) { return info.param.name; }

}  // namespace com::example::kitchen

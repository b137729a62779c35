#include "rpc/parcel.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <map>
#include <random>

namespace adyton::rpc {
namespace {

using testing::ElementsAre;

class Dummy : public LocalBinder {
 public:
  std::string interface_descriptor() override { return "test.Dummy"; }
  Status on_transact(uint32_t, const Parcel&, Parcel*, uint32_t) override { return Status::ok(); }
};

// Objects by address; counts how often each was asked for.
class FakeSource : public ObjectSource {
 public:
  std::map<uint64_t, std::shared_ptr<Binder>> objects;
  std::map<uint64_t, int> asked;
  Reply<std::shared_ptr<Binder>> binder_at(uint64_t address) override {
    ++asked[address];
    const auto found = objects.find(address);
    if (found == objects.end()) return fail(TransportError::kBadValue, "no such object");
    return found->second;
  }
};

void append(std::vector<uint8_t>& bytes, int32_t value) {
  uint8_t raw[4];
  std::memcpy(raw, &value, 4);
  bytes.insert(bytes.end(), raw, raw + 4);
}

std::vector<uint8_t> bytes_of(std::initializer_list<int32_t> words) {
  std::vector<uint8_t> bytes;
  for (const int32_t word : words) append(bytes, word);
  return bytes;
}

Parcel received(std::initializer_list<int32_t> words) { return Parcel::received(bytes_of(words), {}, {}, nullptr).value(); }

// What a session makes of a parcel on its way: the bytes with addresses, the positions, the descriptors.
Reply<Parcel> sent(const Parcel& parcel, const std::shared_ptr<FakeSource>& source, bool binder_positions) {
  std::vector<uint8_t> bytes(parcel.bytes().begin(), parcel.bytes().end());
  std::vector<uint32_t> positions;
  uint64_t address = 100;
  for (const auto& object : parcel.objects()) {
    if (object.binder) {
      std::memcpy(bytes.data() + object.position + 4, &address, sizeof(address));
      source->objects[address++] = object.binder;
    }
    if (!object.binder || binder_positions) positions.push_back(object.position);
  }
  std::vector<UniqueFd> fds;
  for (const UniqueFd& fd : parcel.fds()) fds.emplace_back(fcntl(fd.get(), F_DUPFD_CLOEXEC, 0));
  return Parcel::received(std::move(bytes), std::move(positions), std::move(fds), source);
}

template <typename T>
TransportError error_of(const Reply<T>& reply) {
  return reply ? TransportError::kOk : reply.error().transport_error();
}

TEST(Parcel, EveryValueStartsOnAWord) {
  Parcel parcel;
  parcel.write_byte(-1);
  ASSERT_TRUE(parcel.write_string("ab").is_ok());
  parcel.write_raw(std::vector<uint8_t>{1, 2, 3, 4, 5});
  parcel.write_bool(true);
  EXPECT_EQ(parcel.bytes().size(), 4u + 4 + 8 + 8 + 4);
  EXPECT_EQ(parcel.read_byte(), -1);
  EXPECT_EQ(parcel.read_string(), "ab");
  const auto raw = parcel.read_raw(5);
  ASSERT_TRUE(raw);
  EXPECT_THAT(*raw, ElementsAre(1, 2, 3, 4, 5));
  EXPECT_EQ(parcel.read_bool(), true);
  EXPECT_EQ(error_of(parcel.read_int32()), TransportError::kNotEnoughData);
}

TEST(Parcel, RandomValuesComeBack) {
  const auto seed = std::random_device()();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937_64 random(seed);
  for (int round = 0; round < 300; ++round) {
    Parcel parcel;
    std::vector<std::function<void()>> checks;
    for (size_t i = random() % 20; i > 0; --i) {
      const uint64_t value = random() >> random() % 64;
      switch (random() % 12) {
        case 0:
          parcel.write_int32(static_cast<int32_t>(value));
          checks.emplace_back([&, value] { EXPECT_EQ(parcel.read_int32(), static_cast<int32_t>(value)); });
          break;
        case 1:
          parcel.write_uint32(static_cast<uint32_t>(value));
          checks.emplace_back([&, value] { EXPECT_EQ(parcel.read_uint32(), static_cast<uint32_t>(value)); });
          break;
        case 2:
          parcel.write_int64(static_cast<int64_t>(value));
          checks.emplace_back([&, value] { EXPECT_EQ(parcel.read_int64(), static_cast<int64_t>(value)); });
          break;
        case 3:
          parcel.write_uint64(value);
          checks.emplace_back([&, value] { EXPECT_EQ(parcel.read_uint64(), value); });
          break;
        case 4:
          parcel.write_float(static_cast<float>(value));
          checks.emplace_back([&, value] { EXPECT_EQ(parcel.read_float(), static_cast<float>(value)); });
          break;
        case 5:
          parcel.write_double(static_cast<double>(value));
          checks.emplace_back([&, value] { EXPECT_EQ(parcel.read_double(), static_cast<double>(value)); });
          break;
        case 6:
          parcel.write_byte(static_cast<int8_t>(value));
          checks.emplace_back([&, value] { EXPECT_EQ(parcel.read_byte(), static_cast<int8_t>(value)); });
          break;
        case 7:
          parcel.write_char(static_cast<char16_t>(value));
          checks.emplace_back([&, value] { EXPECT_EQ(parcel.read_char(), static_cast<char16_t>(value)); });
          break;
        case 8: {
          std::u16string text;
          for (size_t n = random() % 40; n > 0; --n) text.push_back(static_cast<char16_t>(random()));
          parcel.write_string16(text);
          checks.emplace_back([&, text] { EXPECT_EQ(parcel.read_string16(), text); });
          break;
        }
        case 9: {
          std::string text;
          for (size_t n = random() % 40; n > 0; --n) text.push_back(static_cast<char>(random() % 128));
          EXPECT_TRUE(parcel.write_string(text).is_ok());
          checks.emplace_back([&, text] { EXPECT_EQ(parcel.read_string(), text); });
          break;
        }
        case 10: {
          std::vector<uint8_t> data(random() % 40);
          for (uint8_t& byte : data) byte = static_cast<uint8_t>(random());
          parcel.write_vector(data);
          checks.emplace_back([&, data] { EXPECT_EQ(parcel.read_vector<uint8_t>(), data); });
          break;
        }
        case 11: {
          std::vector<char16_t> data(random() % 40);
          for (char16_t& unit : data) unit = static_cast<char16_t>(random());
          parcel.write_vector(data);
          checks.emplace_back([&, data] { EXPECT_EQ(parcel.read_vector<char16_t>(), data); });
          break;
        }
      }
      EXPECT_EQ(parcel.bytes().size() % 4, 0u);
    }
    for (const auto& check : checks) check();
    EXPECT_EQ(parcel.remaining(), 0u);
  }
}

TEST(Parcel, NullStringsAreNotEmptyOnes) {
  Parcel parcel;
  ASSERT_TRUE(parcel.write_nullable_string(std::nullopt).is_ok());
  ASSERT_TRUE(parcel.write_nullable_string("").is_ok());
  parcel.write_null_string();
  EXPECT_EQ(parcel.read_nullable_string().value(), std::optional<std::string>());
  EXPECT_EQ(parcel.read_nullable_string().value(), std::optional<std::string>(""));
  EXPECT_EQ(error_of(parcel.read_string()), TransportError::kUnexpectedNull);
}

TEST(Parcel, StringsMustBeText) {
  Parcel parcel;
  EXPECT_EQ(parcel.write_string("\xc0\x80").transport_error(), TransportError::kBadValue);
  EXPECT_EQ(parcel.write_position(), 0u);
  parcel.write_string16(u"\xd800");
  EXPECT_EQ(error_of(parcel.read_string()), TransportError::kBadValue);
  ASSERT_TRUE(parcel.set_read_position(0).is_ok());
  EXPECT_EQ(parcel.read_string16(), u"\xd800");
}

TEST(Parcel, StringsMayHoldNul) {
  const std::string text("a\0b", 3);
  Parcel parcel;
  ASSERT_TRUE(parcel.write_string(text).is_ok());
  EXPECT_EQ(parcel.read_string(), text);
}

TEST(Parcel, StringsThatCannotBeAreRefused) {
  EXPECT_EQ(error_of(received({-2}).read_string()), TransportError::kBadValue);
  EXPECT_EQ(error_of(received({INT32_MIN}).read_string()), TransportError::kBadValue);
  EXPECT_EQ(error_of(received({INT32_MAX, 0, 0}).read_string()), TransportError::kNotEnoughData);
  EXPECT_EQ(error_of(received({2, 'a'}).read_string()), TransportError::kNotEnoughData);
  EXPECT_EQ(error_of(received({1, 'a' | 'b' << 16}).read_string()), TransportError::kBadValue) << "no NUL at the end";
}

TEST(Parcel, CountsThatCannotBeAreRefused) {
  EXPECT_EQ(error_of(received({-2, 0}).read_vector<int32_t>()), TransportError::kBadValue);
  EXPECT_EQ(error_of(received({2, 0}).read_vector<int32_t>()), TransportError::kBadValue);
  EXPECT_EQ(error_of(received({INT32_MAX, 0}).read_vector<uint8_t>()), TransportError::kBadValue);
  EXPECT_EQ(error_of(received({1, 0}).read_vector<int64_t>()), TransportError::kBadValue);
  EXPECT_EQ(error_of(received({2, 0}).read_vector<bool>()), TransportError::kBadValue);
  EXPECT_EQ(error_of(received({-1}).read_vector<int32_t>()), TransportError::kUnexpectedNull);
  EXPECT_EQ(received({4, 0}).read_vector<uint8_t>(), std::vector<uint8_t>(4));
  EXPECT_EQ(received({-1}).read_count(4).value(), std::optional<uint32_t>());
}

TEST(Parcel, BytesThatAreNoWordCannotBeReadAsOne) {
  const auto parcel = Parcel::received({1, 0, 0, 0, 2, 0, 0}, {}, {}, nullptr);
  ASSERT_TRUE(parcel);
  EXPECT_EQ(parcel->read_int32(), 1);
  EXPECT_EQ(error_of(parcel->read_int32()), TransportError::kNotEnoughData);
  EXPECT_EQ(error_of(parcel->read_raw(1)), TransportError::kNotEnoughData);
}

TEST(Parcel, PositionsStayInside) {
  const Parcel parcel = received({1, 2});
  EXPECT_TRUE(parcel.set_read_position(4).is_ok());
  EXPECT_EQ(parcel.read_int32(), 2);
  EXPECT_EQ(parcel.set_read_position(12).transport_error(), TransportError::kBadValue);
  EXPECT_EQ(parcel.set_read_position(2).transport_error(), TransportError::kBadValue);
  EXPECT_EQ(parcel.set_read_position(SIZE_MAX).transport_error(), TransportError::kBadValue);
  EXPECT_EQ(parcel.read_position(), 8u);
}

TEST(Parcel, MovedFromItIsEmpty) {
  Parcel parcel = received({1, 2});
  EXPECT_EQ(parcel.read_int32(), 1);
  const Parcel other = std::move(parcel);
  EXPECT_EQ(other.read_int32(), 2);
  EXPECT_EQ(parcel.remaining(), 0u);  // NOLINT(bugprone-use-after-move)
  parcel.write_int32(3);
  EXPECT_EQ(parcel.read_int32(), 3);
}

TEST(Parcel, TokensNameTheInterface) {
  Parcel parcel;
  parcel.write_interface_token("test.IFoo");
  EXPECT_TRUE(parcel.check_interface_token("test.IFoo").is_ok());
  ASSERT_TRUE(parcel.set_read_position(0).is_ok());
  EXPECT_EQ(parcel.check_interface_token("test.IBar").transport_error(), TransportError::kBadType);
  EXPECT_EQ(received({-1}).check_interface_token("").transport_error(), TransportError::kBadType);
  EXPECT_EQ(Parcel().check_interface_token("").transport_error(), TransportError::kNotEnoughData);
}

// --- Statuses ---

TEST(Parcel, StatusesComeBack) {
  for (const Status& status :
       {Status::ok(), Status::from_exception(Exception::kSecurity, "no"), Status::from_service_specific(-5),
        Status::from_exception(Exception::kParcelable, "blob"), Status::from_exception(Exception::kNullPointer)}) {
    Parcel parcel;
    ASSERT_TRUE(parcel.write_status(status).is_ok());
    EXPECT_EQ(parcel.read_status(), status);
    EXPECT_EQ(parcel.remaining(), 0u);
  }
}

TEST(Parcel, FailedTransactionsAreNotWritten) {
  Parcel parcel;
  const Status status = Status::from_transport(TransportError::kUnknownTransaction);
  EXPECT_EQ(parcel.write_status(status), status);
  EXPECT_EQ(parcel.write_position(), 0u);
}

TEST(Parcel, GarbledMessagesOfStatusesAreKept) {
  Parcel parcel;
  ASSERT_TRUE(parcel.write_status(Status::from_exception(Exception::kSecurity, "a\xff")).is_ok());
  EXPECT_EQ(parcel.read_status()->message(), "a\xef\xbf\xbd");
}

TEST(Parcel, HeadersBeforeStatusesAreSkipped) {
  // A header for app ops (12 bytes), a reply header (8 bytes) that stands for no exception, and the result.
  const Parcel both = received({-127, 12, 5, 6, -128, 8, 7, 42});
  EXPECT_EQ(both.read_status(), Status::ok());
  EXPECT_EQ(both.read_int32(), 42);
  // Java's: no message, and a stack trace.
  const Parcel java = received({-4, -1, 8, 1, 2, 42});
  EXPECT_EQ(java.read_status(), Status::from_exception(Exception::kNullPointer));
  EXPECT_EQ(java.read_int32(), 42);
  for (const int32_t size : {-1, 0, 3, 5, 100}) EXPECT_FALSE(received({-128, size, 0, 0}).read_status()) << size;
  for (const int32_t size : {-1, 1, 100}) EXPECT_FALSE(received({-4, -1, size, 0}).read_status()) << size;
  EXPECT_FALSE(received({-9, -1, 0, 100, 0}).read_status());
}

// --- Objects ---

TEST(Parcel, ObjectsComeBackInTheSameProcess) {
  const auto object = std::make_shared<Dummy>();
  Parcel parcel;
  parcel.write_binder(object);
  parcel.write_binder(nullptr);
  parcel.write_binder(nullptr);
  EXPECT_EQ(parcel.read_binder(), std::shared_ptr<Binder>(object));
  EXPECT_EQ(parcel.read_nullable_binder(), std::shared_ptr<Binder>());
  EXPECT_EQ(error_of(parcel.read_binder()), TransportError::kUnexpectedNull);
}

TEST(Parcel, ObjectsAreLaidOutForTheSessionToFillIn) {
  Parcel parcel;
  parcel.write_int32(1);
  parcel.write_binder(std::make_shared<Dummy>());
  ASSERT_EQ(parcel.objects().size(), 1u);
  EXPECT_EQ(parcel.objects()[0].position, 4u);
  const auto expected = bytes_of({1, 1, 0, 0, kStabilitySystem});
  EXPECT_TRUE(std::ranges::equal(parcel.bytes(), expected));
}

TEST(Parcel, ObjectsComeBackThroughASession) {
  for (const bool binder_positions : {false, true}) {
    const auto first = std::make_shared<Dummy>();
    const auto second = std::make_shared<Dummy>();
    Parcel parcel;
    parcel.write_binder(first);
    ASSERT_TRUE(parcel.write_string("between").is_ok());
    parcel.write_binder(nullptr);
    parcel.write_binder(second);
    const auto source = std::make_shared<FakeSource>();
    const auto arrived = sent(parcel, source, binder_positions);
    ASSERT_TRUE(arrived);
    // Where positions are told, the session knows of all objects before anything is read.
    EXPECT_EQ(source->asked.size(), binder_positions ? 2u : 0u);
    for (int round = 0; round < 2; ++round) {
      ASSERT_TRUE(arrived->set_read_position(0).is_ok());
      EXPECT_EQ(arrived->read_binder(), std::shared_ptr<Binder>(first));
      EXPECT_EQ(arrived->read_string(), "between");
      EXPECT_EQ(arrived->read_nullable_binder(), std::shared_ptr<Binder>());
      EXPECT_EQ(arrived->read_binder(), std::shared_ptr<Binder>(second));
    }
    for (const auto& [address, times] : source->asked) EXPECT_EQ(times, 1) << address;
  }
}

TEST(Parcel, ObjectsThatCannotBeAreRefused) {
  const auto source = std::make_shared<FakeSource>();
  source->objects[7] = std::make_shared<Dummy>();
  const auto read = [&](std::initializer_list<int32_t> words) {
    return error_of(Parcel::received(bytes_of(words), {}, {}, source).value().read_nullable_binder());
  };
  EXPECT_EQ(read({1, 7, 0, kStabilityVintf}), TransportError::kOk);
  EXPECT_EQ(read({1, 7, 0, kStabilityVendor}), TransportError::kOk);
  EXPECT_EQ(read({1, 7, 0, kStabilityUndeclared}), TransportError::kBadType);
  EXPECT_EQ(read({1, 7, 0, 13}), TransportError::kBadType);
  EXPECT_EQ(read({1, 8, 0, kStabilitySystem}), TransportError::kBadValue);
  EXPECT_EQ(read({2, 7, 0, kStabilitySystem}), TransportError::kBadType);
  EXPECT_EQ(read({3, 7, 0, kStabilitySystem}), TransportError::kBadType);
  EXPECT_EQ(read({-1, 7, 0, kStabilitySystem}), TransportError::kBadType);
  EXPECT_EQ(read({1, 7, 0}), TransportError::kNotEnoughData);
  EXPECT_EQ(read({0}), TransportError::kNotEnoughData);
  EXPECT_EQ(error_of(received({1, 7, 0, kStabilitySystem}).read_binder()), TransportError::kBadType) << "no session";
}

TEST(Parcel, DescriptorsComeBackOnce) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd reader(ends[0]);
  UniqueFd writer(ends[1]);
  Parcel parcel;
  parcel.write_int32(1);
  ASSERT_TRUE(parcel.write_fd(writer.get()).is_ok());
  ASSERT_TRUE(parcel.write_parcel_fd(writer).is_ok());
  writer.reset();
  auto arrived = sent(parcel, std::make_shared<FakeSource>(), false);
  ASSERT_TRUE(arrived);
  parcel = Parcel();
  EXPECT_EQ(arrived->read_int32(), 1);
  auto first = arrived->read_fd();
  ASSERT_TRUE(first);
  EXPECT_TRUE(arrived->read_parcel_fd());
  ASSERT_TRUE(arrived->set_read_position(4).is_ok());
  EXPECT_EQ(error_of(arrived->read_fd()), TransportError::kBadType);

  EXPECT_EQ(write(first->get(), "x", 1), 1);
  first->reset();
  char byte = 0;
  EXPECT_EQ(read(reader.get(), &byte, 1), 1);
  EXPECT_EQ(read(reader.get(), &byte, 1), 0) << "a copy of the descriptor is left";
}

TEST(Parcel, DescriptorsMustBeOpen) {
  Parcel parcel;
  EXPECT_EQ(parcel.write_fd(-1).transport_error(), TransportError::kBadValue);
  EXPECT_EQ(parcel.write_position(), 0u);
}

TEST(Parcel, DescriptorsAreOnlyWhereThePositionsSay) {
  const auto with_fds = [](std::initializer_list<int32_t> words, std::vector<uint32_t> positions, size_t count) {
    std::vector<UniqueFd> fds;
    for (size_t i = 0; i < count; ++i) fds.emplace_back(open("/dev/null", O_RDONLY | O_CLOEXEC));
    return Parcel::received(bytes_of(words), std::move(positions), std::move(fds), nullptr);
  };
  EXPECT_TRUE(with_fds({2, 0}, {0}, 1)->read_fd());
  EXPECT_EQ(error_of(with_fds({2, 0}, {}, 1)->read_fd()), TransportError::kBadType) << "not told";
  EXPECT_EQ(error_of(with_fds({2, 0}, {0}, 0)), TransportError::kBadValue) << "did not come";
  EXPECT_EQ(error_of(with_fds({2, 1}, {0}, 1)), TransportError::kBadValue);
  EXPECT_EQ(error_of(with_fds({2, -1}, {0}, 1)), TransportError::kBadValue);
  EXPECT_EQ(error_of(with_fds({2}, {0}, 1)), TransportError::kBadValue);
  EXPECT_EQ(error_of(with_fds({0, 0}, {0}, 1)), TransportError::kBadValue) << "null is no object";
  EXPECT_EQ(error_of(with_fds({9, 0}, {0}, 1)), TransportError::kBadValue);
  EXPECT_EQ(error_of(with_fds({2, 0}, {1}, 1)), TransportError::kBadValue);
  EXPECT_EQ(error_of(with_fds({2, 0}, {8}, 1)), TransportError::kBadValue);
  EXPECT_EQ(error_of(with_fds({2, 0}, {UINT32_MAX - 3}, 1)), TransportError::kBadValue);
  EXPECT_EQ(error_of(with_fds({2, 0, 2, 0}, {8, 0}, 1)), TransportError::kBadValue) << "not ascending";
  EXPECT_EQ(error_of(with_fds({2, 0}, {0, 0}, 1)), TransportError::kBadValue);
  EXPECT_EQ(error_of(with_fds({2, 2, 0}, {0, 4}, 3)), TransportError::kBadValue) << "overlapping";
  // Two that claim the same descriptor: the first reader gets it.
  const auto twice = with_fds({2, 0, 2, 0}, {0, 8}, 1);
  ASSERT_TRUE(twice);
  EXPECT_TRUE(twice->read_fd());
  EXPECT_EQ(error_of(twice->read_fd()), TransportError::kBadType);
}

// What a peer names a thousand times must not be duplicated a thousand times.
TEST(Parcel, APartHasADescriptorOnceHoweverOftenItIsNamed) {
  std::vector<uint8_t> bytes;
  std::vector<uint32_t> positions;
  for (uint32_t i = 0; i < 1000; ++i) {
    positions.push_back(i * 8);
    for (const uint8_t byte : {2, 0, 0, 0, 0, 0, 0, 0}) bytes.push_back(byte);
  }
  std::vector<UniqueFd> fds;
  fds.emplace_back(open("/dev/null", O_RDONLY | O_CLOEXEC));
  const auto parcel = Parcel::received(std::move(bytes), std::move(positions), std::move(fds), nullptr);
  ASSERT_TRUE(parcel);
  Parcel copy;
  copy.write_int32(7);
  ASSERT_TRUE(copy.write_fd(parcel->fds()[0].get()).is_ok());
  ASSERT_TRUE(copy.append_from(*parcel, 8, 7992).is_ok());
  EXPECT_EQ(copy.objects().size(), 1000u);
  EXPECT_EQ(copy.fds().size(), 2u);
  ASSERT_TRUE(copy.set_read_position(7996).is_ok());
  EXPECT_TRUE(copy.read_fd());
}

TEST(Parcel, DescriptorsAreNotBinders) {
  Parcel parcel;
  const UniqueFd fd(open("/dev/null", O_RDONLY | O_CLOEXEC));
  ASSERT_TRUE(parcel.write_fd(fd.get()).is_ok());
  parcel.write_binder(std::make_shared<Dummy>());
  EXPECT_EQ(error_of(parcel.read_binder()), TransportError::kBadType);
  ASSERT_TRUE(parcel.set_read_position(8).is_ok());
  EXPECT_EQ(error_of(parcel.read_fd()), TransportError::kBadType);
  EXPECT_EQ(error_of(received({1, 2, 0}).read_parcel_fd()), TransportError::kBadType);
}

TEST(Parcel, PartsAreAppendedWithTheirObjects) {
  const auto object = std::make_shared<Dummy>();
  const UniqueFd null(open("/dev/null", O_RDONLY | O_CLOEXEC));
  Parcel from;
  ASSERT_TRUE(from.write_fd(null.get()).is_ok());  // 0 to 8
  from.write_int32(7);
  from.write_binder(object);                       // 12 to 28
  ASSERT_TRUE(from.write_fd(null.get()).is_ok());  // 28 to 36
  Parcel to;
  to.write_int32(1);
  ASSERT_TRUE(to.append_from(from, 8, 28).is_ok());
  ASSERT_TRUE(to.append_from(to, 0, 4).is_ok());
  EXPECT_EQ(to.read_int32(), 1);
  EXPECT_EQ(to.read_int32(), 7);
  EXPECT_EQ(to.read_binder(), std::shared_ptr<Binder>(object));
  EXPECT_TRUE(to.read_fd());
  EXPECT_EQ(to.read_int32(), 1);
  EXPECT_TRUE(from.read_fd()) << "the source keeps its own";

  EXPECT_EQ(to.append_from(from, 0, 40).transport_error(), TransportError::kBadValue);
  EXPECT_EQ(to.append_from(from, 40, 0).transport_error(), TransportError::kBadValue);
  EXPECT_EQ(to.append_from(from, 2, 4).transport_error(), TransportError::kBadValue);
  EXPECT_EQ(to.append_from(from, 12, 8).transport_error(), TransportError::kBadValue) << "half of an object";
  EXPECT_EQ(to.append_from(from, 0, 8).transport_error(), TransportError::kBadType) << "taken";
  EXPECT_EQ(to.bytes().size(), 36u);
}

TEST(Parcel, RandomBytesAreReadOrRefused) {
  const auto seed = std::random_device()();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937_64 random(seed);
  for (int round = 0; round < 3000; ++round) {
    std::vector<uint8_t> bytes(random() % 100);
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random() % 4 ? random() % 4 : random());
    const auto parcel = Parcel::received(std::move(bytes), {}, {}, nullptr);
    ASSERT_TRUE(parcel);
    for (int i = 0; i < 30; ++i) {
      switch (random() % 8) {
        case 0: static_cast<void>(parcel->read_int64()); break;
        case 1: static_cast<void>(parcel->read_nullable_string()); break;
        case 2: static_cast<void>(parcel->read_status()); break;
        case 3: static_cast<void>(parcel->read_nullable_binder()); break;
        case 4: static_cast<void>(parcel->read_parcel_fd()); break;
        case 5: static_cast<void>(parcel->read_vector<bool>()); break;
        case 6: static_cast<void>(parcel->read_vector<double>()); break;
        case 7: static_cast<void>(parcel->set_read_position(random() % 100)); break;
      }
      ASSERT_LE(parcel->read_position(), parcel->bytes().size());
      ASSERT_EQ(parcel->read_position() % 4, 0u);
    }
  }
}

}  // namespace
}  // namespace adyton::rpc

#include "rpc/parcelable.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <random>

namespace adyton::rpc {
namespace {

using testing::ElementsAre;

enum class Colour : int8_t { kRed = -1, kGreen = 0, kBlue = 1 };
enum class Wide : int64_t { kLow = INT64_MIN, kHigh = INT64_MAX };

struct Point {
  int32_t x = 1;
  int32_t y = 2;
  std::string name = "origin";
  Status write_to(Parcel* parcel) const { return write_structured(parcel, x, y, name); }
  Status read_from(const Parcel& parcel) { return read_structured(parcel, &x, &y, &name); }
  bool operator==(const Point&) const = default;
};

// Point as an earlier version declared it.
struct OldPoint {
  int32_t x = 10;
  Status write_to(Parcel* parcel) const { return write_structured(parcel, x); }
  Status read_from(const Parcel& parcel) { return read_structured(parcel, &x); }
};

struct Tree {
  int32_t value = 0;
  std::unique_ptr<Tree> left;
  std::vector<Tree> others;
  Status write_to(Parcel* parcel) const { return write_structured(parcel, value, left, others); }
  Status read_from(const Parcel& parcel) { return read_structured(parcel, &value, &left, &others); }
};

struct Choice {
  std::variant<int32_t, std::string, std::vector<Point>, int32_t> value;
  Status write_to(Parcel* parcel) const { return write_union(parcel, value); }
  Status read_from(const Parcel& parcel) { return read_union(parcel, &value); }
  bool operator==(const Choice&) const = default;
};

class INamed : public Interface {
 public:
  static constexpr std::string_view kDescriptor = "test.INamed";
  static std::shared_ptr<INamed> from_binder(std::shared_ptr<Binder> binder) {
    return std::dynamic_pointer_cast<INamed>(std::move(binder));
  }
};

class Named : public INamed, public LocalBinder {
 public:
  explicit Named(std::string descriptor = std::string(kDescriptor)) : descriptor_(std::move(descriptor)) {}
  std::shared_ptr<Binder> as_binder() override { return shared_from_this(); }
  std::string interface_descriptor() override { return descriptor_; }
  Status on_transact(uint32_t, const Parcel&, Parcel*, uint32_t) override { return Status::ok(); }

 private:
  std::string descriptor_;
};

std::vector<int32_t> words(const Parcel& parcel) {
  std::vector<int32_t> result(parcel.bytes().size() / 4);
  if (!result.empty()) std::memcpy(result.data(), parcel.bytes().data(), result.size() * 4);
  return result;
}

template <typename T>
T back(const T& value) {
  Parcel parcel;
  EXPECT_EQ(write(&parcel, value), Status::ok());
  T result{};
  EXPECT_EQ(read(parcel, &result), Status::ok());
  EXPECT_EQ(parcel.remaining(), 0u);
  return result;
}

template <typename T>
TransportError failure(const Parcel& parcel, T* target) {
  static_cast<void>(parcel.set_read_position(0));
  return read(parcel, target).transport_error();
}

ino_t inode(int fd) {
  struct stat status = {};
  EXPECT_EQ(fstat(fd, &status), 0);
  return status.st_ino;
}

UniqueFd some_fd() { return UniqueFd(open("/dev/null", O_RDONLY | O_CLOEXEC)); }

TEST(Codec, ValuesComeBack) {
  EXPECT_EQ(back(true), true);
  EXPECT_EQ(back<int8_t>(-128), -128);
  EXPECT_EQ(back(u'\xffff'), u'\xffff');
  EXPECT_EQ(back(INT32_MIN), INT32_MIN);
  EXPECT_EQ(back(INT64_MIN), INT64_MIN);
  EXPECT_EQ(back(0.1f), 0.1f);
  EXPECT_EQ(back(0.1), 0.1);
  EXPECT_EQ(back(Colour::kRed), Colour::kRed);
  EXPECT_EQ(back(Wide::kLow), Wide::kLow);
  EXPECT_EQ(back<std::string>("Ünïcødé 🦀"), "Ünïcødé 🦀");
}

TEST(Codec, SequencesComeBack) {
  EXPECT_THAT(back(std::vector<bool>{true, false}), ElementsAre(true, false));
  EXPECT_THAT(back(std::vector<uint8_t>{0, 255}), ElementsAre(0, 255));
  EXPECT_THAT(back(std::vector<char16_t>{u'a', u'\0'}), ElementsAre(u'a', u'\0'));
  EXPECT_THAT(back(std::vector<int64_t>{1, INT64_MAX}), ElementsAre(1, INT64_MAX));
  EXPECT_THAT(back(std::vector<std::string>{"", "b"}), ElementsAre("", "b"));
  EXPECT_THAT(back(std::vector<Colour>{Colour::kBlue, Colour::kRed}), ElementsAre(Colour::kBlue, Colour::kRed));
  EXPECT_THAT(back(std::vector<Wide>{Wide::kHigh}), ElementsAre(Wide::kHigh));
  EXPECT_THAT(back(std::vector<Point>{{3, 4, "p"}, {}}), ElementsAre(Point{3, 4, "p"}, Point{}));
  EXPECT_THAT(back(std::vector<std::optional<std::string>>{std::nullopt, "x"}), ElementsAre(std::nullopt, "x"));
  EXPECT_THAT(back(std::array<bool, 2>{false, true}), ElementsAre(false, true));
}

TEST(Codec, EnumVectorsArePackedAsTheirBackingTypeIs) {
  Parcel parcel;
  ASSERT_TRUE(write(&parcel, std::vector{Colour::kRed, Colour::kGreen, Colour::kBlue}).is_ok());
  EXPECT_THAT(words(parcel), ElementsAre(3, 0x0100ff));
}

TEST(Codec, ArraysOfArraysHaveACountEach) {
  const std::array<std::array<int32_t, 3>, 2> matrix = {{{1, 2, 3}, {4, 5, 6}}};
  Parcel parcel;
  ASSERT_TRUE(write(&parcel, matrix).is_ok());
  EXPECT_THAT(words(parcel), ElementsAre(2, 3, 1, 2, 3, 3, 4, 5, 6));
  EXPECT_EQ(back(matrix), matrix);

  const std::array<std::array<int8_t, 2>, 2> bytes = {{{1, 2}, {3, 4}}};
  Parcel packed;
  ASSERT_TRUE(write(&packed, bytes).is_ok());
  EXPECT_THAT(words(packed), ElementsAre(2, 2, 0x0201, 2, 0x0403));
  EXPECT_EQ(back(bytes), bytes);
}

TEST(Codec, ArraysOfAnotherSizeAreRefused) {
  Parcel parcel;
  ASSERT_TRUE(write(&parcel, std::vector<int32_t>{1, 2}).is_ok());
  std::array<int32_t, 3> three;
  std::array<int32_t, 1> one;
  EXPECT_EQ(failure(parcel, &three), TransportError::kBadValue);
  EXPECT_EQ(failure(parcel, &one), TransportError::kBadValue);
}

TEST(Codec, NullablesComeBack) {
  EXPECT_EQ(back(std::optional<std::string>()), std::nullopt);
  EXPECT_EQ(back(std::optional<std::string>("")), "");
  EXPECT_EQ(back(std::optional<Point>()), std::nullopt);
  EXPECT_EQ(back(std::optional(Point{5, 6, ""})), (Point{5, 6, ""}));
  EXPECT_EQ(back(std::optional<std::vector<int32_t>>()), std::nullopt);
  EXPECT_EQ(back(std::optional(std::vector<int32_t>{7})), std::vector<int32_t>{7});
  EXPECT_EQ(back(std::optional<std::array<int32_t, 2>>()), std::nullopt);
  EXPECT_EQ(back(std::optional(std::array{1, 2})), (std::array{1, 2}));
  EXPECT_EQ(back(std::optional(std::vector<std::optional<Point>>{std::nullopt, Point{}})),
            (std::vector<std::optional<Point>>{std::nullopt, Point{}}));
}

TEST(Codec, UniquePointersComeBack) {
  Parcel parcel;
  ASSERT_TRUE(write_all(&parcel, std::make_unique<Point>(Point{8, 9, "n"}), std::unique_ptr<Point>()).is_ok());
  std::unique_ptr<Point> there;
  auto gone = std::make_unique<Point>();
  ASSERT_TRUE(read_all(parcel, &there, &gone).is_ok());
  ASSERT_TRUE(there);
  EXPECT_EQ(*there, (Point{8, 9, "n"}));
  EXPECT_FALSE(gone);
}

TEST(Codec, NothingIsRefusedWhereSomethingMustBe) {
  std::string text;
  std::vector<int32_t> numbers;
  Point point;
  UniqueFd fd;
  std::shared_ptr<Binder> binder;
  std::shared_ptr<INamed> named;
  Parcel minus_one;
  minus_one.write_int32(-1);
  EXPECT_EQ(failure(minus_one, &text), TransportError::kUnexpectedNull);
  EXPECT_EQ(failure(minus_one, &numbers), TransportError::kUnexpectedNull);
  Parcel zero;
  zero.write_binder(nullptr);
  EXPECT_EQ(failure(zero, &point), TransportError::kUnexpectedNull);
  EXPECT_EQ(failure(zero, &fd), TransportError::kUnexpectedNull);
  EXPECT_EQ(failure(zero, &binder), TransportError::kUnexpectedNull);
  EXPECT_EQ(failure(zero, &named), TransportError::kUnexpectedNull);

  Parcel out;
  EXPECT_EQ(write(&out, fd).transport_error(), TransportError::kUnexpectedNull);
  EXPECT_EQ(write(&out, binder).transport_error(), TransportError::kUnexpectedNull);
  EXPECT_EQ(write(&out, named).transport_error(), TransportError::kUnexpectedNull);
}

TEST(Codec, ObjectsComeBack) {
  const auto object = std::make_shared<Named>();
  const std::shared_ptr<INamed> named = object;
  EXPECT_EQ(back<std::shared_ptr<Binder>>(object), object);
  EXPECT_EQ(back(named), named);
  EXPECT_EQ(back(std::vector{named, named}), (std::vector{named, named}));

  const std::shared_ptr<INamed> none;
  Parcel parcel;
  ASSERT_TRUE(write_all(&parcel, nullable(named), nullable(none), nullable(std::vector{named, none}),
                        std::optional(std::vector{none, named}))
                  .is_ok());
  std::shared_ptr<INamed> first, second;
  std::vector<std::shared_ptr<INamed>> third;
  std::optional<std::vector<std::shared_ptr<INamed>>> fourth;
  ASSERT_TRUE(read_all(parcel, nullable(&first), nullable(&second), nullable(&third), &fourth).is_ok());
  EXPECT_EQ(first, named);
  EXPECT_EQ(second, none);
  EXPECT_THAT(third, ElementsAre(named, none));
  EXPECT_EQ(fourth, (std::vector{none, named}));
}

TEST(Codec, ObjectsOfAnotherInterfaceAreRefused) {
  Parcel parcel;
  ASSERT_TRUE(write(&parcel, std::shared_ptr<INamed>(std::make_shared<Named>("test.IOther"))).is_ok());
  std::shared_ptr<INamed> named;
  EXPECT_EQ(failure(parcel, &named), TransportError::kBadType);
}

TEST(Codec, FileDescriptorsComeBack) {
  const UniqueFd fd = some_fd();
  std::vector<UniqueFd> several;
  several.push_back(some_fd());
  several.push_back(some_fd());
  Parcel parcel;
  ASSERT_TRUE(write_all(&parcel, fd, several, std::optional<UniqueFd>(), file_descriptor(fd), file_descriptor(several)).is_ok());
  UniqueFd one, raw;
  std::vector<UniqueFd> more, raws;
  std::optional<UniqueFd> none;
  ASSERT_TRUE(read_all(parcel, &one, &more, &none, file_descriptor(&raw), file_descriptor(&raws)).is_ok());
  EXPECT_EQ(inode(one.get()), inode(fd.get()));
  EXPECT_NE(one.get(), fd.get());
  EXPECT_EQ(more.size(), 2u);
  EXPECT_TRUE(more[1].valid());
  EXPECT_FALSE(none);
  EXPECT_TRUE(raw.valid());
  EXPECT_EQ(raws.size(), 2u);
  EXPECT_EQ(parcel.remaining(), 0u);
}

// The layouts that AOSP's C++ back end gives to ParcelFileDescriptor and FileDescriptor.
TEST(Codec, FileDescriptorsAreLaidOutAsInAosp) {
  const UniqueFd fd = some_fd();
  Parcel parcel;
  ASSERT_TRUE(write_all(&parcel, fd, file_descriptor(fd), std::optional<UniqueFd>()).is_ok());
  EXPECT_THAT(words(parcel), ElementsAre(1, 0, 2, 0, 2, 1, 0));
}

TEST(Structured, CarriesItsSize) {
  Parcel parcel;
  ASSERT_TRUE(write(&parcel, Point{5, 6, "z"}).is_ok());
  EXPECT_THAT(words(parcel), ElementsAre(1, 20, 5, 6, 1, 'z'));
}

TEST(Structured, FieldsOfANewerVersionAreSkipped) {
  Parcel parcel;
  ASSERT_TRUE(write_all(&parcel, Point{5, 6, "z"}, int32_t{77}).is_ok());
  OldPoint old;
  int32_t next = 0;
  ASSERT_TRUE(read_all(parcel, &old, &next).is_ok());
  EXPECT_EQ(old.x, 5);
  EXPECT_EQ(next, 77);
}

TEST(Structured, FieldsThatAnOlderVersionLacksKeepTheirValues) {
  Parcel parcel;
  ASSERT_TRUE(write_all(&parcel, OldPoint{5}, int32_t{77}).is_ok());
  Point point;
  int32_t next = 0;
  ASSERT_TRUE(read_all(parcel, &point, &next).is_ok());
  EXPECT_EQ(point, (Point{5, 2, "origin"}));
  EXPECT_EQ(next, 77);
}

TEST(Structured, SizesThatCannotBeAreRefused) {
  for (const int32_t size : {INT32_MIN, -1, 0, 3, 10, 21, 24, INT32_MAX}) {
    Parcel parcel;
    ASSERT_TRUE(write(&parcel, Point{5, 6, "z"}).is_ok());
    parcel.overwrite_int32(4, size);
    Point point;
    EXPECT_EQ(failure(parcel, &point), TransportError::kBadValue) << size;
  }
}

TEST(Structured, AFieldCannotReachIntoWhatFollows) {
  Parcel parcel;
  ASSERT_TRUE(write_all(&parcel, Point{5, 6, "long enough"}, int32_t{77}).is_ok());
  parcel.overwrite_int32(4, 20);  // ends inside of the string
  Point point;
  EXPECT_EQ(failure(parcel, &point), TransportError::kBadValue);
}

TEST(Structured, RecursionIsBounded) {
  const auto chain = [](uint32_t length) {
    Tree root;
    Tree* last = &root;
    for (uint32_t i = 1; i < length; ++i) last = (last->left = std::make_unique<Tree>()).get();
    Parcel parcel;
    EXPECT_TRUE(write(&parcel, root).is_ok());
    return parcel;
  };
  Tree tree;
  EXPECT_EQ(failure(chain(Parcel::kMaxNesting), &tree), TransportError::kOk);
  EXPECT_EQ(failure(chain(Parcel::kMaxNesting + 1), &tree), TransportError::kBadValue);
}

// 100 kB that claim to be as many small things as possible.
TEST(Structured, HostileNestingEnds) {
  Parcel parcel;
  for (int i = 0; i < 5000; ++i) {
    parcel.write_int32(1);
    parcel.write_int32((5000 - i) * 20 - 4);
    parcel.write_int32(0);
    parcel.write_int32(0);
    parcel.write_int32(1);
  }
  Tree tree;
  EXPECT_EQ(failure(parcel, &tree), TransportError::kBadValue);
}

TEST(Structured, NestingIsDepthNotNumber) {
  Tree tree;
  tree.others.resize(2 * Parcel::kMaxNesting);
  Parcel parcel;
  ASSERT_TRUE(write(&parcel, tree).is_ok());
  Tree result;
  ASSERT_TRUE(read(parcel, &result).is_ok());
  EXPECT_EQ(result.others.size(), tree.others.size());
}

TEST(Union, EveryAlternativeComesBack) {
  Choice choice;
  choice.value.emplace<0>(4);
  EXPECT_EQ(back(choice), choice);
  choice.value.emplace<1>("text");
  EXPECT_EQ(back(choice), choice);
  choice.value.emplace<2>(3);
  EXPECT_EQ(back(choice), choice);
  choice.value.emplace<3>(4);
  EXPECT_EQ(back(choice), choice);
  Parcel parcel;
  ASSERT_TRUE(write(&parcel, choice).is_ok());
  EXPECT_THAT(words(parcel), ElementsAre(1, 3, 4));
}

TEST(Union, UnknownTagsAreRefused) {
  for (const int32_t tag : {-1, 4, INT32_MIN, INT32_MAX}) {
    Parcel parcel;
    parcel.write_int32(1);
    parcel.write_int32(tag);
    parcel.write_int32(0);
    Choice choice;
    EXPECT_EQ(failure(parcel, &choice), TransportError::kBadValue) << tag;
  }
}

// Whatever length a parcel is cut to, reading it ends with a failure, and a read of what was written ends well.
TEST(Codec, TruncatedAnywhereItIsAFailure) {
  const std::mt19937::result_type seed = std::random_device()();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  Tree tree;
  Tree* at = &tree;
  for (int i = 0; i < 5; ++i) {
    at->value = static_cast<int32_t>(random());
    at->others.resize(random() % 4);
    at = (at->left = std::make_unique<Tree>()).get();
  }
  Choice choice;
  choice.value.emplace<2>(random() % 5, Point{1, 2, std::string(random() % 9, 'x')});
  Parcel parcel;
  ASSERT_TRUE(write_all(&parcel, tree, choice, std::vector<std::optional<std::string>>(random() % 5, "abc"),
                        std::array<std::array<char16_t, 2>, 2>{}, std::optional(std::vector<bool>(random() % 8)), 0.5)
                  .is_ok());
  for (size_t size = 0; size <= parcel.bytes().size(); ++size) {
    std::vector<uint8_t> bytes(parcel.bytes().begin(), parcel.bytes().begin() + static_cast<ptrdiff_t>(size));
    const auto cut = Parcel::received(std::move(bytes), {}, {}, nullptr);
    ASSERT_TRUE(cut);
    Tree read_tree;
    Choice read_choice;
    std::vector<std::optional<std::string>> strings;
    std::array<std::array<char16_t, 2>, 2> array;
    std::optional<std::vector<bool>> flags;
    double number = 0;
    const Status status = read_all(*cut, &read_tree, &read_choice, &strings, &array, &flags, &number);
    EXPECT_EQ(status.is_ok(), size == parcel.bytes().size()) << size << ": " << status.to_string();
  }
}

TEST(Call, CarriesResultsAndExceptions) {
  class Adder : public LocalBinder {
   public:
    std::string interface_descriptor() override { return "test.Adder"; }
    Status on_transact(uint32_t code, const Parcel& data, Parcel* reply, uint32_t) override {
      ADYTON_RPC_TRY(data.check_interface_token("test.Adder"));
      if (code != kFirstCall) return Status::from_transport(TransportError::kUnknownTransaction);
      int32_t a = 0;
      int32_t b = 0;
      ADYTON_RPC_TRY(read_all(data, &a, &b));
      int32_t sum = 0;
      if (__builtin_add_overflow(a, b, &sum))
        return write_reply(reply, Reply<int32_t>(fail(Exception::kIllegalArgument, "too much")));
      return write_reply(reply, Reply<int32_t>(sum), std::string("out"));
    }
  };
  Adder adder;
  int32_t sum = 0;
  std::string out;
  const auto add = [&](uint32_t code, int32_t a, int32_t b) {
    Parcel arguments;
    arguments.write_interface_token("test.Adder");
    EXPECT_TRUE(write_all(&arguments, a, b).is_ok());
    return call(adder, code, arguments, 0, &sum, &out);
  };
  EXPECT_EQ(add(kFirstCall, 40, 2), Status::ok());
  EXPECT_EQ(sum, 42);
  EXPECT_EQ(out, "out");
  EXPECT_EQ(add(kFirstCall, INT32_MAX, 1), Status::from_exception(Exception::kIllegalArgument, "too much"));
  EXPECT_EQ(add(kFirstCall + 1, 0, 0).transport_error(), TransportError::kUnknownTransaction);
}

}  // namespace
}  // namespace adyton::rpc

// A parcel that a hostile peer sends: any bytes, object positions that may or may not fit them, and every way to read it.
#include <fcntl.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "fuzz/fuzz_input.h"
#include "rpc/parcelable.h"

using namespace adyton;
using namespace adyton::rpc;
using fuzz::FuzzInput;
using fuzz::require;

namespace {

class Object : public LocalBinder {
 public:
  std::string interface_descriptor() override { return "fuzz.IObject"; }
  Status on_transact(uint32_t, const Parcel&, Parcel*, uint32_t) override { return Status::ok(); }
};

// Knows a few addresses, and hands each out once per place in a parcel.
class Source : public ObjectSource {
 public:
  Reply<std::shared_ptr<Binder>> binder_at(uint64_t address) override {
    if (address > 8) return rpc::fail(TransportError::kBadValue);
    ++handed_out;
    return object_;
  }
  size_t handed_out = 0;

 private:
  std::shared_ptr<Binder> object_ = std::make_shared<Object>();
};

enum class Small : int8_t {};

struct Node {
  int32_t number = 0;
  std::optional<std::string> text;
  std::unique_ptr<Node> next;
  std::vector<Node> children;
  std::array<std::array<char16_t, 2>, 2> square{};
  std::vector<Small> flags;
  std::shared_ptr<Binder> binder;
  std::optional<UniqueFd> fd;
  Status write_to(Parcel* parcel) const {
    return write_structured(parcel, number, text, next, children, square, flags, nullable(binder), fd);
  }
  Status read_from(const Parcel& parcel) {
    return read_structured(parcel, &number, &text, &next, &children, &square, &flags, nullable(&binder), &fd);
  }
};

struct Choice {
  std::variant<int64_t, std::vector<Choice>, Node, std::vector<std::optional<Node>>> value;
  Status write_to(Parcel* parcel) const { return write_union(parcel, value); }
  Status read_from(const Parcel& parcel) { return read_union(parcel, &value); }
};

// What was read can be written, and is read back as what it was.
template <typename T>
void read_and_repeat(const Parcel& parcel) {
  T value{};
  if (!read(parcel, &value).is_ok()) return;
  Parcel first;
  require(write(&first, value).is_ok());
  T again{};
  require(read(first, &again).is_ok());
  require(first.remaining() == 0);
  Parcel second;
  require(write(&second, again).is_ok());
  require(std::ranges::equal(first.bytes(), second.bytes()));
}

template <typename T>
void read_vector(const Parcel& parcel) {
  const auto values = parcel.read_vector<T>();
  if (values) require(values->size() <= parcel.bytes().size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const UniqueFd null(open("/dev/null", O_RDONLY | O_CLOEXEC));
  FuzzInput input(data, size);
  std::vector<uint32_t> positions;
  for (size_t i = input.below(4); i > 0; --i) {
    positions.push_back(input.below(8) ? static_cast<uint32_t>(4 * input.below(32)) : input.take<uint32_t>());
  }
  if (input.below(2)) std::ranges::sort(positions);
  std::vector<UniqueFd> fds;
  for (size_t i = input.below(3); i > 0; --i) fds.emplace_back(fcntl(null.get(), F_DUPFD_CLOEXEC, 0));
  std::vector<size_t> reads(1 + input.below(16));
  for (size_t& read : reads) read = input.take<uint16_t>();
  // Words rather than bytes, small ones mostly: random bytes hardly ever are the count, marker or size that leads any further.
  std::vector<uint8_t> bytes;
  while (!input.empty()) {
    const uint8_t shape = input.take();
    const int32_t word = shape < 160 ? shape % 16 : shape < 200 ? 4 * (shape - 160) : shape < 220 ? -1 : input.take<int32_t>();
    const auto* raw = reinterpret_cast<const uint8_t*>(&word);
    bytes.insert(bytes.end(), raw, raw + (shape == 255 ? 1 : sizeof(word)));
  }

  const auto source = std::make_shared<Source>();
  const auto parcel = Parcel::received(std::move(bytes), std::move(positions), std::move(fds), source);
  if (!parcel) return 0;
  for (const size_t read : reads) {
    switch (read % 24) {
      case 0: static_cast<void>(parcel->read_bool()); break;
      case 1: static_cast<void>(parcel->read_byte()); break;
      case 2: static_cast<void>(parcel->read_int64()); break;
      case 3: static_cast<void>(parcel->read_nullable_string()); break;
      case 4: static_cast<void>(parcel->read_string16()); break;
      case 5: static_cast<void>(parcel->read_nullable_binder()); break;
      case 6: static_cast<void>(parcel->read_fd()); break;
      case 7: static_cast<void>(parcel->read_parcel_fd()); break;
      case 8: static_cast<void>(parcel->read_status()); break;
      case 9: static_cast<void>(parcel->check_interface_token("fuzz.IObject")); break;
      case 10: static_cast<void>(parcel->read_raw(read)); break;
      case 11: static_cast<void>(parcel->set_read_position(read)); break;
      case 12: read_vector<bool>(*parcel); break;
      case 13: read_vector<uint8_t>(*parcel); break;
      case 14: read_vector<char16_t>(*parcel); break;
      case 15: read_vector<double>(*parcel); break;
      case 16: read_and_repeat<std::vector<std::string>>(*parcel); break;
      case 17: read_and_repeat<std::optional<std::vector<std::shared_ptr<Binder>>>>(*parcel); break;
      case 18: read_and_repeat<std::array<std::array<int32_t, 2>, 2>>(*parcel); break;
      case 19: read_and_repeat<std::vector<Small>>(*parcel); break;
      case 20: read_and_repeat<std::vector<UniqueFd>>(*parcel); break;
      case 21: read_and_repeat<Node>(*parcel); break;
      case 22: read_and_repeat<Choice>(*parcel); break;
      case 23: static_cast<void>(parcel->set_read_position(0)); break;
    }
    require(parcel->read_position() <= parcel->bytes().size());
    require(parcel->read_position() % 4 == 0);
  }
  // The session counts one reference per object in the parcel, however often it was read.
  require(source->handed_out <= parcel->objects().size());
  return 0;
}

#include "observe/record_ring.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <functional>
#include <random>
#include <string>

#include "base/thread.h"

namespace adyton::observe {
namespace {

using testing::HasSubstr;

std::vector<uint8_t> bytes_of(std::string_view text) { return {text.begin(), text.end()}; }

// A record's bytes, which its reader can tell from its number.
std::vector<uint8_t> pattern(uint64_t number, size_t size) {
  std::vector<uint8_t> bytes(size);
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<uint8_t>(number * 31 + i * 7);
  return bytes;
}

// Both sides' mappings of one memory, as two processes have them.
struct Sides {
  explicit Sides(size_t capacity = RecordRing::kMinCapacity) : memory(*RecordRing::make_memory(capacity)) {}
  UniqueFd memory;
  RecordRing ours = *RecordRing::map(memory.get());
  RecordRing theirs = *RecordRing::map(memory.get());
  // What the other side can do to the memory; 8-byte words from its beginning.
  Mapping raw = *Mapping::shared(memory.get(), 4096 + ours.capacity(), PROT_READ | PROT_WRITE);
  uint64_t& word(size_t index) { return reinterpret_cast<uint64_t*>(raw.data())[index]; }
  static constexpr size_t kHead = 0, kDropped = 1, kTail = 8, kWakeAt = 9, kData = 512;
};

TEST(RecordRing, CarriesRecordsOfAnySizeInOrder) {
  Sides sides;
  RecordWriter writer(sides.ours);
  RecordReader reader(sides.theirs);
  EXPECT_FALSE(*reader.next());
  EXPECT_TRUE(writer.write(7, 1000, bytes_of("hello")));
  EXPECT_TRUE(writer.write(8, 2000, {}));
  auto record = *reader.next();
  ASSERT_TRUE(record);
  EXPECT_EQ(record->type, 7u);
  EXPECT_EQ(record->time, 1000u);
  EXPECT_EQ(record->sequence, 0u);
  EXPECT_THAT(record->bytes, testing::ElementsAreArray(bytes_of("hello")));
  record = *reader.next();
  ASSERT_TRUE(record);
  EXPECT_EQ(record->type, 8u);
  EXPECT_EQ(record->sequence, 1u);
  EXPECT_TRUE(record->bytes.empty());
  EXPECT_FALSE(*reader.next());
}

TEST(RecordRing, GoesAroundWithEveryAlignmentOfRecords) {
  Sides sides;
  RecordWriter writer(sides.ours);
  RecordReader reader(sides.theirs);
  for (uint64_t number = 0; number < 20'000; ++number) {
    const auto bytes = pattern(number, number * 13 % 1500);
    ASSERT_TRUE(writer.write(1, number, bytes));
    auto record = reader.next();
    ASSERT_TRUE(record && *record);
    ASSERT_EQ((*record)->time, number);
    ASSERT_TRUE(std::ranges::equal((*record)->bytes, bytes));  // a matcher for each of 15 million bytes takes minutes under TSan
  }
  EXPECT_EQ(writer.dropped(), 0u);
}

TEST(RecordRing, LeavesWhatIsNotToBeCopiedInPlaceUntilTheNextOne) {
  Sides sides;
  RecordWriter writer(sides.ours);
  RecordReader reader(sides.theirs, 4);
  const auto large = pattern(1, 3000), small = pattern(2, 3);
  ASSERT_TRUE(writer.write(1, 0, large));
  ASSERT_TRUE(writer.write(1, 0, small));
  auto record = *reader.next();
  ASSERT_TRUE(record);
  EXPECT_THAT(record->bytes, testing::ElementsAreArray(std::span(large).first(4)));
  // Its room is not the writer's yet.
  EXPECT_FALSE(writer.write(1, 0, large));
  EXPECT_THAT(record->rest, testing::ElementsAreArray(std::span(large).subspan(4)));
  record = *reader.next();
  ASSERT_TRUE(record);
  EXPECT_THAT(record->bytes, testing::ElementsAreArray(small));
  EXPECT_TRUE(record->rest.empty());
  EXPECT_TRUE(writer.write(1, 0, large));
}

TEST(RecordRing, DropsAndCountsWhatDoesNotFitAndTellsWhere) {
  Sides sides;
  RecordWriter writer(sides.ours);
  RecordReader reader(sides.theirs);
  const std::vector<uint8_t> big(1000);  // 1024 with its header: four of them fit
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(writer.write(1, 0, big));
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(writer.write(1, 0, {})) << "not one byte is free";
  EXPECT_EQ(writer.dropped(), 3u);
  EXPECT_EQ(reader.dropped(), 3u) << "told although no record came after them";
  EXPECT_EQ((*reader.next())->lost, 0u);
  EXPECT_TRUE(writer.write(1, 0, big));
  for (int i = 0; i < 3; ++i) EXPECT_EQ((*reader.next())->lost, 0u);
  const auto after = *reader.next();
  EXPECT_EQ(after->lost, 3u);
  EXPECT_EQ(after->sequence, 7u);
  EXPECT_EQ(writer.written(), 5u);
  EXPECT_FALSE(writer.write(1, 0, std::vector<uint8_t>(4096 - 23))) << "one that never fits";
  EXPECT_TRUE(writer.write(1, 0, std::vector<uint8_t>(4096 - 24)));
  EXPECT_EQ((*reader.next())->lost, 1u);
  EXPECT_EQ(reader.dropped(), 4u);
}

TEST(RecordRing, WakesAReaderThatAskedForItOnce) {
  Sides sides;
  auto wake = *make_wake_pair();
  RecordWriter writer(sides.ours, wake.writer.get());
  RecordReader reader(sides.theirs);
  pollfd woken{.fd = wake.reader.get(), .events = POLLIN, .revents = 0};
  const auto is_woken = [&] { return ::poll(&woken, 1, 0) == 1; };

  writer.write(1, 0, {});
  EXPECT_FALSE(is_woken()) << "nobody asked";
  EXPECT_FALSE(reader.arm()) << "there is something to read";
  (void)reader.next();
  ASSERT_TRUE(reader.arm());
  EXPECT_FALSE(is_woken());
  writer.write(1, 0, {});
  writer.write(1, 0, {});
  EXPECT_TRUE(is_woken());
  uint8_t wakes[8];
  EXPECT_EQ(::recv(wake.reader.get(), wakes, sizeof(wakes), 0), 1);

  while (*reader.next()) {}
  ASSERT_TRUE(reader.arm(100));
  writer.write(1, 0, std::vector<uint8_t>(40));
  EXPECT_FALSE(is_woken()) << "fewer bytes than asked for";
  writer.write(1, 0, std::vector<uint8_t>(40));
  EXPECT_TRUE(is_woken());
  EXPECT_TRUE(drain_wakes(wake.reader.get()));
  EXPECT_FALSE(is_woken());

  while (*reader.next()) {}
  ASSERT_TRUE(reader.arm(4096));
  EXPECT_FALSE(writer.write(1, 0, std::vector<uint8_t>(5000)));
  EXPECT_TRUE(is_woken()) << "something was dropped";
  wake.writer.reset();
  EXPECT_FALSE(drain_wakes(wake.reader.get()));
}

TEST(RecordRing, AWakeNeitherBlocksNorFailsWhoeverIsThere) {
  Sides sides;
  auto wake = *make_wake_pair();
  RecordWriter writer(sides.ours, wake.writer.get());
  RecordReader reader(sides.theirs);
  // A reader that arms and arms, and takes no wakes; on a socket that it has made blocking.
  ASSERT_EQ(::fcntl(wake.reader.get(), F_SETFL, 0), 0);
  for (int i = 0; i < 5000; ++i) {
    ASSERT_TRUE(reader.arm());
    ASSERT_TRUE(writer.write(1, 0, {}));
    ASSERT_TRUE(*reader.next());
  }
  wake.reader.reset();
  ASSERT_TRUE(reader.arm());
  EXPECT_TRUE(writer.write(1, 0, {}));
}

TEST(RecordRing, SeveralShareOneMemory) {
  const auto memory = *RecordRing::make_memory(4096, 3);
  std::vector<RecordRing> rings;
  for (size_t i = 0; i < 3; ++i) rings.push_back(*RecordRing::map(memory.get(), i, 3));
  for (size_t i = 0; i < 3; ++i) {
    RecordWriter writer(rings[i]);
    for (size_t n = 0; n < 4; ++n) EXPECT_TRUE(writer.write(static_cast<uint32_t>(i), n, std::vector<uint8_t>(1000)));
  }
  for (size_t i = 0; i < 3; ++i) {
    RecordReader reader(rings[i]);
    for (size_t n = 0; n < 4; ++n) EXPECT_EQ((*reader.next())->type, i);
    EXPECT_FALSE(*reader.next());
  }
  EXPECT_FALSE(RecordRing::map(memory.get(), 3, 3));
}

TEST(RecordRing, TakesNoMemoryThatCouldShrinkOrIsOfAWrongSize) {
  const auto memfd = [](off_t size, int seals) {
    UniqueFd fd(::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    EXPECT_EQ(::ftruncate(fd.get(), size), 0);
    EXPECT_EQ(::fcntl(fd.get(), F_ADD_SEALS, seals), 0);
    return fd;
  };
  constexpr int kAll = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
  EXPECT_TRUE(RecordRing::map(memfd(8192, kAll).get()));
  EXPECT_THAT(RecordRing::map(memfd(8192, F_SEAL_GROW | F_SEAL_SEAL).get()).error().message, HasSubstr("sealed"));
  for (const off_t size : {0, 1, 4096, 8191, 8193, 12288 + 4096, 4096 + 2048}) {
    EXPECT_EQ(RecordRing::map(memfd(size, kAll).get()).error().code, ErrorCode::kCorrupt) << size;
  }
  EXPECT_FALSE(RecordRing::map(memfd(4096 + (off_t{1} << 27), kAll).get()));
  UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  EXPECT_FALSE(RecordRing::map(null.get()));
  EXPECT_FALSE(RecordRing::map(-1));
  EXPECT_FALSE(RecordRing::make_memory(5000));
  EXPECT_FALSE(RecordRing::make_memory(size_t{1} << 27));
  EXPECT_FALSE(RecordRing::make_memory(4096, 0));
}

TEST(RecordRing, AWriterBelievesNoIndexOfItsReader) {
  Sides sides;
  RecordWriter writer(sides.ours);
  const std::vector<uint8_t> big(1000);
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(writer.write(1, 0, big));
  for (const uint64_t tail : {uint64_t{4097}, UINT64_MAX, uint64_t{1} << 63}) {
    sides.word(Sides::kTail) = tail;
    EXPECT_FALSE(writer.write(1, 0, big)) << tail;
  }
  sides.word(Sides::kTail) = 1024;
  EXPECT_TRUE(writer.write(1, 0, big));
  sides.word(Sides::kTail) = 0;  // going back
  EXPECT_FALSE(writer.write(1, 0, big));
  // What it has published does not depend on what stands in the memory.
  for (const size_t word : {Sides::kHead, Sides::kDropped}) sides.word(word) = 0x123456789;
  sides.word(Sides::kTail) = 2048;
  EXPECT_TRUE(writer.write(1, 0, big));
  EXPECT_EQ(sides.word(Sides::kHead), 6 * 1024u);
}

TEST(RecordRing, AReaderFindsOutWhatCannotBe) {
  struct Case {
    const char* what;
    std::function<void(Sides&)> damage;
  };
  const Case cases[] = {
      {"index", [](Sides& s) { s.word(Sides::kHead) = 4104; }},
      {"index", [](Sides& s) { s.word(Sides::kHead) = UINT64_MAX; }},
      {"index", [](Sides& s) { s.word(Sides::kHead) = 33; }},
      {"cut short", [](Sides& s) { s.word(Sides::kHead) = 16; }},
      {"longer", [](Sides& s) { s.word(Sides::kData) = 100; }},
      {"longer", [](Sides& s) { s.word(Sides::kData) = UINT32_MAX; }},
      {"order", [](Sides& s) { s.word(Sides::kData + 1) = UINT64_MAX; }},
  };
  for (const Case& c : cases) {
    Sides sides;
    RecordWriter writer(sides.ours);
    RecordReader reader(sides.theirs);
    writer.write(1, 0, bytes_of("12345678"));
    c.damage(sides);
    const auto record = reader.next();
    ASSERT_FALSE(record) << c.what;
    EXPECT_EQ(record.error().code, ErrorCode::kCorrupt);
    EXPECT_THAT(record.error().message, HasSubstr(c.what));
    EXPECT_FALSE(reader.next()) << "it stays so";
    EXPECT_FALSE(reader.arm());
  }
  // Numbers that go back.
  Sides sides;
  RecordWriter writer(sides.ours);
  RecordReader reader(sides.theirs);
  writer.write(1, 0, {});
  writer.write(1, 0, {});
  ASSERT_TRUE(*reader.next());
  sides.word(Sides::kData + 3 + 1) = 0;
  EXPECT_THAT(reader.next().error().message, HasSubstr("order"));
}

TEST(RecordRing, AReaderSurvivesAnyContents) {
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937_64 random(seed);
  for (int round = 0; round < 2000; ++round) {
    Sides sides;
    RecordReader reader(sides.theirs);
    // Mostly small numbers, which lead further in than others.
    for (size_t i = Sides::kData; i < Sides::kData + 512; ++i) sides.word(i) = random() >> (random() % 64);
    sides.word(Sides::kHead) = (random() % 520) * 8;
    size_t copied = 0;
    for (;;) {
      const auto record = reader.next();
      if (!record || !*record) break;
      copied += (*record)->bytes.size();
    }
    EXPECT_LE(copied, 4096u);
  }
}

// One process's two threads on one mapping, so that ThreadSanitizer sees them meet.
TEST(RecordRing, WorksWhileBothSidesDo) {
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  for (const bool wakes : {true, false}) {
    const auto memory = *RecordRing::make_memory(1 << 14);
    const RecordRing ring = *RecordRing::map(memory.get());
    auto pair = *make_wake_pair();
    constexpr uint64_t kRecords = 50'000;
    uint64_t dropped = 0;
    auto thread = *start_thread("writer", [&] {
      std::mt19937_64 random(seed);
      RecordWriter writer(ring, wakes ? pair.writer.get() : -1);
      for (uint64_t number = 0; number < kRecords; ++number) writer.write(1, number, pattern(number, random() % 600));
      // The last one says that it is the last one, and so has to arrive.
      while (!writer.write(2, 0, {})) std::this_thread::yield();
      dropped = writer.dropped();
    });
    RecordReader reader(ring);
    std::mt19937_64 watermarks(seed);
    uint64_t seen = 0;
    uint64_t lost = 0;
    for (bool ended = false; !ended;) {
      const auto record = reader.next();
      ASSERT_TRUE(record) << record.error().message;
      if (*record) {
        lost += (*record)->lost;
        ended = (*record)->type == 2;
        if (ended) break;
        ++seen;
        ASSERT_THAT((*record)->bytes, testing::ElementsAreArray(pattern((*record)->time, (*record)->bytes.size())));
      } else if (!wakes) {
        std::this_thread::yield();
      } else if (reader.arm(1 + watermarks() % 2 * 64)) {
        pollfd woken{.fd = pair.reader.get(), .events = POLLIN, .revents = 0};
        // The last record alone may be fewer bytes than were asked for.
        (void)::poll(&woken, 1, 50);
        ASSERT_TRUE(drain_wakes(pair.reader.get()));
      }
    }
    thread.join();
    EXPECT_EQ(lost, dropped);
    EXPECT_GE(seen + lost, kRecords);
  }
}

}  // namespace
}  // namespace adyton::observe

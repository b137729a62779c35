#include "base/log/logger.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <new>
#include <thread>

#include "base/log/testing.h"

namespace {
thread_local int allocations = 0;
}

// Not inlined: the compiler would take new with free() for a mistake.
[[gnu::noinline]] void* operator new(size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size)) return memory;
  std::abort();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, size_t) noexcept { std::free(memory); }

namespace adyton::log {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::EndsWith;
using testing::SizeIs;
using testing::StartsWith;

// Takes records and keeps none.
class Null final : public Sink {
 public:
  void write(const Record&) override {}
};

TEST(Logger, AddsItsContextToEveryLine) {
  CapturedLog captured;
  const Logger log = [] {
    const std::string name = "demo-" + std::to_string(1);  // gone when the log is used
    return Logger("vm", {{"vm", name}, {"cid", 3}, {"low", -4}});
  }();
  log.info({}, "started with {} CPUs", 2);
  log.for_component("virtio").error({{"queue", 1}}, "stuck");
  const std::string pid = std::to_string(::getpid());
  EXPECT_THAT(captured.lines(), ElementsAre("info vm[" + pid + "] vm=demo-1 cid=3 low=-4: started with 2 CPUs",
                                            "error virtio[" + pid + "] vm=demo-1 cid=3 low=-4 queue=1: stuck"));
}

TEST(Logger, WritesNothingBelowItsLevel) {
  const CapturedLog captured(Level::kWarning);
  const Logger log("x");
  RateLimit limit;
  log.debug({}, "1");
  log.info(limit, {}, "2");
  log.warning({}, "3");
  log.error(limit, {}, "4");
  EXPECT_THAT(captured.lines(), ElementsAre(EndsWith(": 3"), EndsWith(": 4")));
  EXPECT_FALSE(enabled(Level::kInfo));
}

TEST(Logger, SaysNothingUnlessTheProgramKeepsALog) {
  EXPECT_FALSE(enabled(Level::kError));
  Logger("x").error({}, "to nobody");
}

TEST(Logger, AllocatesNothing) {
  Null null;
  Sink* const before = internals::exchange_sink(&null);
  const Logger log("x", {{"vm", "demo"}});
  const std::string text(500, 'x');
  RateLimit limit(1000);
  for (const Level level : {Level::kOff, Level::kDebug}) {
    internals::threshold = level;
    const int allocated = allocations;
    for (int i = 0; i < 100; ++i) log.debug(limit, {{"i", i}, {"text", text}}, "{} {:#x} {}", i, 17, text);
    EXPECT_EQ(allocations, allocated) << to_string(level);
  }
  internals::threshold = Level::kOff;
  internals::exchange_sink(before);
}

TEST(Logger, TellsHowManyMessagesWereSuppressed) {
  const CapturedLog captured;
  const Logger log("x");
  RateLimit limit(1, 1ms);
  const char* const hostile = "whatever";
  log.warning(limit, {}, "the guest said '{}'", hostile);
  int others = 0;
  // Some pass and some do not, as time does.
  for (const auto end = RateLimit::Clock::now() + 20ms; RateLimit::Clock::now() < end; ++others)
    log.warning(limit, {}, "the guest said '{}'", hostile);
  log.tell_suppressed(Level::kWarning, limit, "the last ones");
  const auto lines = captured.lines();
  uint64_t told = 0;
  int written = 0;
  for (const std::string& line : lines) {
    if (const size_t at = line.find(" suppressed="); at != std::string::npos) {
      told += std::strtoull(line.c_str() + at + 12, nullptr, 10);
      if (&line != &lines.back()) { EXPECT_THAT(line, EndsWith(" suppressed: the guest said '{}'")); }
    } else {
      ++written;
    }
  }
  EXPECT_EQ(told + static_cast<uint64_t>(written), static_cast<uint64_t>(others) + 1);
}

TEST(Logger, IsBoundedHoweverManyThreadsComplain) {
  const CapturedLog captured;
  const Logger log("x");
  RateLimit limit(10, 1h);
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        for (int j = 0; j < 50'000; ++j) log.warning(limit, {{"j", j}}, "again");
      });
    }
  }
  EXPECT_THAT(captured.lines(), SizeIs(10));
}

TEST(Logger, CutsAMessageThatIsTooLong) {
  const CapturedLog captured;
  Logger("x").info({}, "{}", std::string(100'000, 'x'));
  ASSERT_THAT(captured.lines(), SizeIs(1));
  EXPECT_LT(captured.lines()[0].size(), Line::kCapacity);
}

}  // namespace
}  // namespace adyton::log

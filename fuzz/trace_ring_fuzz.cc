// What a hostile VMM leaves in the rings of a trace: records of its choice, made into both kinds of file.
#include <fcntl.h>

#include <algorithm>
#include <cstdint>

#include "fuzz/fuzz_input.h"
#include "observe/trace_record.h"
#include "observe/trace_source.h"
#include "tools/trace/chrome_writer.h"
#include "tools/trace/perfetto_writer.h"
#include "tools/trace/recorder.h"

namespace {

using namespace adyton;

// What any reader of our files relies on: tracks are told before they are used, slices are whole, times are possible.
class CheckingWriter final : public trace::Writer {
 public:
  explicit CheckingWriter(trace::Writer& to) : to_(to) {}
  Result<void> begin(const trace::Process& process) override { return to_.begin(process); }
  Result<void> track(const trace::Track& track) override {
    fuzz::require(track.id == depth_.size() && track.id < 400);
    depth_.push_back(0);
    return to_.track(track);
  }
  Result<void> event(const trace::Event& event) override {
    fuzz::require(event.track < depth_.size() && event.time <= observe::TraceSource::now());
    if (event.type == trace::Event::Type::kBegin) ++depth_[event.track];
    if (event.type == trace::Event::Type::kEnd) fuzz::require(depth_[event.track]-- > 0);
    return to_.event(event);
  }
  Result<void> end() override {
    fuzz::require(std::ranges::all_of(depth_, [](int open) { return open == 0; }));
    return to_.end();
  }
  Result<void> flush() override { return to_.flush(); }

 private:
  trace::Writer& to_;
  std::vector<int> depth_ = {0, 0};
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::FuzzInput input(data, size);
  capture::Output output(UniqueFd(::open("/dev/null", O_WRONLY | O_CLOEXEC)));
  trace::PerfettoWriter perfetto(output);
  trace::ChromeWriter chrome(output);
  CheckingWriter writer(input.take() % 2 == 0 ? static_cast<trace::Writer&>(perfetto) : chrome);
  const uint64_t now = observe::TraceSource::now();
  const auto kind = static_cast<trace::Decoder::Kind>(input.take() % 3);
  const UniqueFd memory = observe::RecordRing::make_memory(65536).value();
  const auto ring = observe::RecordRing::map(memory.get()).value();
  observe::RecordWriter records(ring);
  while (!input.empty()) {
    static constexpr size_t kSizes[] = {0, sizeof(observe::TraceExit), sizeof(observe::TraceTranslation),
                                        sizeof(observe::TraceQueue), sizeof(observe::TraceCall) + 5};
    const uint32_t type = input.take() % 16;
    const uint64_t time = input.take() % 4 == 0 ? input.take<uint64_t>() : now + input.take();
    const size_t bytes = input.take() % 4 == 0 ? input.take() : kSizes[input.below(std::size(kSizes))];
    // One without room is lost, which the reader is told.
    records.write(type, time, input.take_bytes(bytes));
  }
  auto wake = observe::make_wake_pair().value();
  wake.writer.reset();
  trace::Recorder recorder(writer, output, std::move(wake.reader), -1);
  recorder.add({.kind = kind, .name = "thread", .ring = observe::RecordRing::map(memory.get()).value()});
  fuzz::require(recorder.run({.name = "vm", .pid = 1, .monotonic = now}, {}) == trace::EndReason::kVmEnded);
  fuzz::require(recorder.finish({}).has_value());
  fuzz::require(recorder.received() + recorder.dropped() == records.written() + records.dropped());
  return 0;
}

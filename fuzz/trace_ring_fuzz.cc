// What a hostile VMM leaves in the rings of a trace: records of its choice, made into both kinds of file.
#include <fcntl.h>

#include <cstdint>

#include "fuzz/checking_writer.h"
#include "fuzz/fuzz_input.h"
#include "observe/trace_record.h"
#include "observe/trace_source.h"
#include "tools/trace/chrome_writer.h"
#include "tools/trace/perfetto_writer.h"
#include "tools/trace/recorder.h"

using namespace adyton;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::FuzzInput input(data, size);
  capture::Output output(UniqueFd(::open("/dev/null", O_WRONLY | O_CLOEXEC)));
  trace::PerfettoWriter perfetto(output);
  trace::ChromeWriter chrome(output);
  fuzz::CheckingWriter writer(input.take() % 2 == 0 ? static_cast<trace::Writer&>(perfetto) : chrome);
  const uint64_t now = observe::TraceSource::now();
  const auto kind = static_cast<trace::Decoder::Kind>(input.take() % 4);
  const UniqueFd memory = observe::RecordRing::make_memory(65536).value();
  const auto ring = observe::RecordRing::map(memory.get()).value();
  observe::RecordWriter records(ring);
  while (!input.empty()) {
    static constexpr size_t kSizes[] = {0,
                                        sizeof(observe::TraceExit),
                                        sizeof(observe::TraceTranslation),
                                        sizeof(observe::TraceQueue),
                                        sizeof(observe::TraceRaised),
                                        sizeof(observe::TraceCall) + 5};
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

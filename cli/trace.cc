#include "cli/trace.h"

#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <bit>
#include <utility>

#include "cli/capture.h"
#include "cli/message.h"
#include "cli/recording.h"
#include "cli/service.h"
#include "guest/exec_protocol.h"
#include "observe/trace_record.h"
#include "tools/trace/chrome_writer.h"
#include "tools/trace/perfetto_writer.h"
#include "tools/trace/timeline_writer.h"

namespace adyton::cli {
namespace {

// Shared with all threads of a VM together, at most.
constexpr uint64_t kMostBuffer = uint64_t{256} << 20;
// For the packets of which calls are read, at least: they have their payload.
constexpr uint64_t kPacketBuffer = uint64_t{8} << 20;

uint64_t now(clockid_t clock) {
  timespec time{};
  ::clock_gettime(clock, &time);
  return static_cast<uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(time.tv_nsec);
}

std::unique_ptr<trace::Writer> make_writer(TraceFormat format, capture::Output& output) {
  switch (format) {
    case TraceFormat::kChromeJson: return std::make_unique<trace::ChromeWriter>(output);
    case TraceFormat::kText: return std::make_unique<trace::TimelineWriter>(output);
    case TraceFormat::kPerfetto: break;
  }
  return std::make_unique<trace::PerfettoWriter>(output);
}

}  // namespace

TraceSession::TraceSession(Recordable& vm, const TraceOptions& options, UniqueFd file, int interrupt)
    : vm_(vm), options_(options), output_(std::move(file), interrupt), writer_(make_writer(options.format, output_)) {}

Result<std::unique_ptr<TraceSession>> TraceSession::begin(Recordable& vm, const TraceOptions& options, UniqueFd file,
                                                          int interrupt) {
  std::unique_ptr<TraceSession> session(new TraceSession(vm, options, std::move(file), interrupt));
  TRY(session->start(interrupt));
  return session;
}

Result<void> TraceSession::start(int interrupt) {
  const auto threads = TRY(vm_.trace_sources());  // waits for a VM that starts
  // No record is before this.
  process_ = {.name = fmt::format("VM {}", vm_.name()),
              .pid = 1,
              .monotonic = now(CLOCK_MONOTONIC),
              .boottime = now(CLOCK_BOOTTIME),
              .realtime = now(CLOCK_REALTIME)};
  std::vector<trace::Source> sources;
  UniqueFd vm;
  if (options_.categories != 0) {
    const size_t vcpus = threads.vcpus;
    const size_t named = vcpus + threads.devices.size();
    if (named == 0) return fail(ErrorCode::kUnavailable, "the virtual machine tells of no vCPU and no device");
    const size_t count = named + 1;  // the interrupt controller
    const uint64_t each = std::min(options_.buffer, std::bit_floor(kMostBuffer / count));
    const UniqueFd memory = TRY(observe::RecordRing::make_memory(each, count));
    for (size_t i = 0; i < count; ++i) {
      const std::string name = i < vcpus   ? fmt::format("vCPU {}", i)
                               : i < named ? fmt::format("{} (slot {})", threads.devices[i - vcpus], i - vcpus)
                                           : "interrupts";
      sources.push_back({.kind = i < vcpus ? trace::Decoder::Kind::kVcpu : trace::Decoder::Kind::kDevice,
                         .name = name,
                         .ring = TRY(observe::RecordRing::map(memory.get(), i, count))});
    }
    vm = TRY(vm_.trace(memory, static_cast<uint32_t>(count), options_.categories));
  }
  if (options_.calls) {
    const UniqueFd memory = TRY(observe::RecordRing::make_memory(options_.buffer));
    calls_ = TRY(vm_.trace_calls(memory));
    if (calls_.valid())
      sources.push_back({.kind = trace::Decoder::Kind::kService,
                         .name = "calls to the service",
                         .ring = TRY(observe::RecordRing::map(memory.get()))});
  }
  if (options_.packets) {
    auto capture = TRY(start_capture(vm_, {}, std::max(options_.buffer, kPacketBuffer)));
    sources.push_back({.kind = trace::Decoder::Kind::kPackets, .name = "calls over vsock", .ring = std::move(capture.ring)});
    packets_ = std::move(capture.wake);
  }
  facts_ = TRY(vm_.facts());
  process_.pid = std::max(facts_.pid, 1);
  UniqueFd& life = vm.valid() ? vm : calls_.valid() ? calls_ : packets_;
  recorder_.emplace(*writer_, output_, std::move(life), interrupt);
  for (auto& source : sources) recorder_->add(std::move(source));
  if (options_.memory) recorder_->watch_memory({.guest = [this] { return vm_.memory(); }});
  return {};
}

Result<void> TraceSession::run() {
  std::optional<std::chrono::nanoseconds> duration;
  if (options_.duration) duration = *options_.duration;
  TRY(recorder_->run(process_, duration));
  return {};
}

namespace {

Result<int> run_trace(const TraceOptions& options) {
  const UniqueFd signals = TRY(take_end_signals());
  const auto manager = TRY(connect_to_service());
  ServiceRecordable vm(TRY(find_vm(*manager, options.name)));
  UniqueFd file = TRY(open_recording(options.file));
  const auto session = TRY(TraceSession::begin(vm, options, std::move(file), signals.get()));
  if (!options.quiet) fmt::print(stderr, "adyton: tracing '{}', isolation level {}\n", options.name, session->facts().isolation);
  TRY(session->run());
  TRY(session->finish());
  const trace::Recorder& recorder = session->recorder();
  for (const std::string& warning : recorder.warnings()) say(one_line(warning));
  if (!options.quiet) fmt::print(stderr, "{} records\n{} records dropped\n", recorder.received(), recorder.dropped());
  return recorder.warnings().empty() ? 0 : guest::kExitError;
}

}  // namespace

int trace(const TraceOptions& options) {
  const auto outcome = run_trace(options);
  return outcome ? *outcome : failed(outcome.error());
}

}  // namespace adyton::cli

#include "cli/trace.h"

#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <bit>
#include <memory>
#include <utility>

#include "cli/capture.h"
#include "cli/message.h"
#include "cli/recording.h"
#include "cli/service.h"
#include "guest/exec_protocol.h"
#include "observe/trace_record.h"
#include "tools/trace/chrome_writer.h"
#include "tools/trace/perfetto_writer.h"
#include "tools/trace/recorder.h"
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

// What the VM's process and the service leave their records in.
struct Tracing {
  std::vector<trace::Source> sources;
  UniqueFd vm;
  UniqueFd calls;
  UniqueFd packets;
};

Result<Tracing> start(VirtualMachineManager& manager, VirtualMachine& vm, const TraceOptions& options) {
  Tracing tracing;
  if (options.categories != 0) {
    const auto threads = TRY(vm.getTraceSources());
    const size_t vcpus = threads.vcpus;
    const size_t named = vcpus + threads.devices.size();
    if (named == 0) return fail(ErrorCode::kUnavailable, "the virtual machine tells of no vCPU and no device");
    const size_t count = named + 1;  // the interrupt controller
    const uint64_t each = std::min(options.buffer, std::bit_floor(kMostBuffer / count));
    const UniqueFd memory = TRY(observe::RecordRing::make_memory(each, count));
    for (size_t i = 0; i < count; ++i) {
      if (i == named) {
        tracing.sources.push_back({.kind = trace::Decoder::Kind::kDevice,
                                   .name = "interrupts",
                                   .ring = TRY(observe::RecordRing::map(memory.get(), i, count))});
        break;
      }
      const bool is_vcpu = i < vcpus;
      tracing.sources.push_back(
          {.kind = is_vcpu ? trace::Decoder::Kind::kVcpu : trace::Decoder::Kind::kDevice,
           .name = is_vcpu ? fmt::format("vCPU {}", i) : fmt::format("{} (slot {})", threads.devices[i - vcpus], i - vcpus),
           .ring = TRY(observe::RecordRing::map(memory.get(), i, count))});
    }
    tracing.vm = TRY(vm.trace(memory, static_cast<uint32_t>(count), options.categories));
  }
  if (options.calls) {
    const UniqueFd memory = TRY(observe::RecordRing::make_memory(options.buffer));
    tracing.sources.push_back({.kind = trace::Decoder::Kind::kService,
                               .name = "calls to the service",
                               .ring = TRY(observe::RecordRing::map(memory.get()))});
    tracing.calls = TRY(vm.traceCalls(memory));
  }
  if (options.packets) {
    auto captures = TRY(start_captures(manager, {options.name}, {}, std::max(options.buffer, kPacketBuffer)));
    tracing.sources.push_back(
        {.kind = trace::Decoder::Kind::kPackets, .name = "calls over vsock", .ring = std::move(captures.front().ring)});
    tracing.packets = std::move(captures.front().wake);
  }
  return tracing;
}

std::vector<trace::Phase> phases_of(VirtualMachine& vm) {
  std::vector<trace::Phase> phases;
  // A service that is gone meanwhile is no reason to throw the trace away.
  if (const auto told = vm.getBootPhases()) {
    for (const auto& phase : *told)
      phases.push_back({phase.name, static_cast<uint64_t>(phase.begin.count()), static_cast<uint64_t>(phase.end.count())});
  }
  return phases;
}

std::optional<trace::GuestMemory> memory_of(VirtualMachine& vm) {
  const auto statistics = vm.getStatistics();
  if (!statistics) return std::nullopt;  // it is ending, or has better things to do
  const auto& balloon = statistics->balloon;
  return trace::GuestMemory{.balloon_target = balloon.target,
                            .balloon = balloon.actual,
                            .free = balloon.guest_free,
                            .available = balloon.guest_available};
}

Result<int> run_trace(const TraceOptions& options) {
  const UniqueFd signals = TRY(take_end_signals());
  const auto manager = TRY(connect_to_service());
  const auto vm = TRY(find_vm(*manager, options.name));
  capture::Output output(TRY(open_recording(options.file)), signals.get());
  std::unique_ptr<trace::Writer> writer;
  if (options.format == TraceFormat::kChromeJson) {
    writer = std::make_unique<trace::ChromeWriter>(output);
  } else if (options.format == TraceFormat::kText) {
    writer = std::make_unique<trace::TimelineWriter>(output);
  } else {
    writer = std::make_unique<trace::PerfettoWriter>(output);
  }
  Tracing tracing = TRY(start(*manager, *vm, options));
  const auto info = TRY(vm->getInfo());
  trace::Process process{.name = fmt::format("VM {}", options.name),
                         .pid = std::max(info.pid, 1),
                         .monotonic = now(CLOCK_MONOTONIC),
                         .boottime = now(CLOCK_BOOTTIME),
                         .realtime = now(CLOCK_REALTIME)};
  UniqueFd& life = tracing.vm.valid() ? tracing.vm : tracing.calls.valid() ? tracing.calls : tracing.packets;
  trace::Recorder recorder(*writer, output, std::move(life), signals.get());
  for (auto& source : tracing.sources) recorder.add(std::move(source));
  if (options.memory) recorder.watch_memory({.guest = [&vm = *vm] { return memory_of(vm); }});
  if (!options.quiet) fmt::print(stderr, "adyton: tracing '{}', isolation level {}\n", options.name, to_string(info.isolation));
  std::optional<std::chrono::nanoseconds> duration;
  if (options.duration) duration = *options.duration;
  TRY(recorder.run(process, duration));
  TRY(recorder.finish(options.boot ? phases_of(*vm) : std::vector<trace::Phase>()));
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

#include "cli/capture.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <csignal>
#include <cstdio>
#include <optional>
#include <set>

#include "base/unique_fd.h"
#include "cli/message.h"
#include "cli/recording.h"
#include "cli/service.h"
#include "cli/version.h"
#include "guest/exec_protocol.h"
#include "tools/capture/extcap.h"
#include "tools/capture/pcap_writer.h"
#include "tools/capture/pcapng_writer.h"
#include "tools/capture/text_writer.h"

namespace adyton::cli {
namespace {

Result<std::unique_ptr<capture::Writer>> make_writer(const CaptureOptions& options, bool several, capture::Output& output) {
  switch (options.format) {
    case CaptureFormat::kText:
      return std::make_unique<capture::TextWriter>(
          output, capture::TextWriter::Style{.verbose = options.verbose, .dump = options.dump, .names = several});
    case CaptureFormat::kPcapng:
      return std::make_unique<capture::PcapngWriter>(output, "adyton " + std::string(ADYTON_VERSION), options.snaplen);
    case CaptureFormat::kPcap: break;
  }
  return TRY(capture::PcapWriter::create(output, options.snaplen));
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

Result<int> run_capture(const CaptureOptions& options) {
  const UniqueFd signals = TRY(take_end_signals());
  const auto manager = TRY(connect_to_service());
  // No file for a VM that there is not, and no packets for a file that nobody reads yet.
  std::vector<std::unique_ptr<Recordable>> vms;
  for (const std::string& name : options.names) vms.push_back(std::make_unique<ServiceRecordable>(TRY(find_vm(*manager, name))));
  UniqueFd file = TRY(open_recording(options.file));
  const auto session = TRY(CaptureSession::begin(vms, options, std::move(file), signals.get()));
  if (!options.quiet) {
    fmt::print(stderr, "adyton: capturing the vsock of {}, link type VSOCK (Linux vsock), at most {} bytes of each packet\n",
               joined(options.names), options.snaplen);
  }
  const auto done = session->run();
  const capture::Recorder& recorder = session->recorder();
  for (const std::string& warning : recorder.warnings()) say(one_line(warning));
  if (!done) return std::unexpected(done.error());
  if (!options.quiet) fmt::print(stderr, "{} packets captured\n{} packets dropped\n", recorder.received(), recorder.dropped());
  return recorder.warnings().empty() ? 0 : guest::kExitError;
}

// Without a service there are no virtual machines, and a question starts none.
Result<std::vector<std::string>> running_vms() {
  const auto manager = VirtualMachineManager::connect({.start_service = false});
  std::vector<std::string> names;
  if (!manager) return names;
  for (const VirtualMachineInfo& vm : TRY((*manager)->listRunning())) names.push_back(vm.name);
  return names;
}

// Wireshark waits for somebody to open the pipe, and would do so for good: its user would see an empty capture, and not what has
// failed. The pipe's end tells it to show what is on standard error.
void end_pipe(const std::string& path) {
  // It may end us meanwhile.
  sigset_t none;
  sigemptyset(&none);
  ::pthread_sigmask(SIG_SETMASK, &none, nullptr);
  UniqueFd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
}

Result<int> run_extcap(const std::vector<std::string>& arguments) {
  const auto parsed = capture::parse_extcap(arguments);
  if (!parsed) {
    if (const std::string fifo = capture::waiting_fifo(arguments); !fifo.empty()) end_pipe(fifo);
    return std::unexpected(parsed.error());
  }
  const capture::ExtcapCommand& command = *parsed;
  const auto print = [](const std::string& text) {
    return std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0 ? 0 : guest::kExitError;
  };
  switch (command.action) {
    case capture::ExtcapAction::kInterfaces: return print(capture::extcap_interfaces(TRY(running_vms()), ADYTON_VERSION));
    case capture::ExtcapAction::kLinkTypes: return print(capture::extcap_link_types());
    case capture::ExtcapAction::kConfig: return print(capture::extcap_config());
    case capture::ExtcapAction::kCheckFilter: return print(command.filter_error);
    case capture::ExtcapAction::kVersion: return print("adyton-extcap " ADYTON_VERSION "\n");
    case capture::ExtcapAction::kHelp:
      return print(
          "adyton-extcap shows the vsock traffic of running virtual machines to Wireshark and tshark, which call it:\n"
          "  tshark -D                  lists them as adyton-NAME\n"
          "  tshark -i adyton-NAME      captures\n"
          "See 'adyton capture --help' for captures without Wireshark.\n");
    case capture::ExtcapAction::kCapture: break;
  }
  CaptureOptions options{.names = {command.vm}, .file = command.fifo, .ports = command.ports};
  options.format = CaptureFormat::kPcapng;
  if (command.snaplen != 0) options.snaplen = std::min(command.snaplen, capture::kMaxPacketSize);
  options.quiet = true;
  const auto outcome = run_capture(options);
  if (!outcome) end_pipe(command.fifo);
  return outcome;
}

int finish(const Result<int>& outcome) {
  if (outcome) return *outcome;
  say(outcome.error().message);
  return guest::kExitError;
}

}  // namespace

Result<capture::Source> start_capture(Recordable& vm, const capture::Request& request, uint64_t ring_bytes) {
  const UniqueFd memory = TRY(observe::RecordRing::make_memory(std::bit_ceil(ring_bytes)));
  auto ring = TRY(observe::RecordRing::map(memory.get()));
  auto wake = TRY(vm.capture(memory, {.ports = request.ports, .maxPayload = capture::payload_limit(request.snaplen)}));
  return capture::Source{.name = vm.name(), .ring = std::move(ring), .wake = std::move(wake)};
}

Result<std::unique_ptr<CaptureSession>> CaptureSession::begin(const std::vector<std::unique_ptr<Recordable>>& vms,
                                                              const CaptureOptions& options, UniqueFd file, int interrupt) {
  std::unique_ptr<CaptureSession> session(new CaptureSession(options, std::move(file), interrupt));
  std::vector<capture::Source> sources;
  for (const auto& vm : vms)
    sources.push_back(TRY(start_capture(*vm, {.ports = options.ports, .snaplen = options.snaplen}, options.buffer)));
  session->writer_ = TRY(make_writer(options, vms.size() > 1, session->output_));
  session->recorder_.emplace(*session->writer_, session->output_, interrupt);
  for (auto& source : sources) session->recorder_->add(std::move(source));
  return session;
}

Result<void> CaptureSession::run() {
  TRY(recorder_->run(count_));
  return {};
}

int capture(const CaptureOptions& options) { return finish(run_capture(options)); }

int extcap(const std::vector<std::string>& arguments) { return finish(run_extcap(arguments)); }

}  // namespace adyton::cli

// Packets of a hostile guest and its peers, in which calls are looked for: pieces of RpcBinder, cut and mixed with anything.
#include <fcntl.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "fuzz/checking_writer.h"
#include "fuzz/fuzz_input.h"
#include "observe/trace_source.h"
#include "observe/vsock_record.h"
#include "rpc/wire.h"
#include "tools/trace/perfetto_writer.h"
#include "tools/trace/recorder.h"

namespace {

using namespace adyton;
namespace wire = rpc::wire;

void append_command(fuzz::FuzzInput& input, std::vector<uint8_t>& bytes) {
  static constexpr uint32_t kBodies[] = {
      0,   4, wire::kDecStrongSize, wire::kReplySize, wire::kReplySize + 4, wire::kTransactionSize, wire::kTransactionSize + 24,
      5000};
  const uint32_t body = input.take() % 8 == 0 ? input.take<uint32_t>() : kBodies[input.below(std::size(kBodies))];
  const size_t at = bytes.size();
  bytes.resize(at + wire::kHeaderSize + std::min<uint32_t>(body, 5000));
  const std::span<uint8_t> command = std::span(bytes).subspan(at);
  wire::store(command, 0, uint32_t{input.take()} % 4);
  wire::store(command, 4, body);
  if (body >= wire::kTransactionSize && body <= 5000) {
    wire::store(command, 16, uint64_t{input.take()} % 5);
    wire::store(command, 24, uint32_t{input.take()});
    wire::store(command, 28, uint32_t{input.take()} % 2);
    wire::store(command, 40, std::min(body - uint32_t{wire::kTransactionSize}, uint32_t{input.take()}));
    if (body > wire::kTransactionSize) wire::store(command, 56, uint32_t{input.take()} % 12);
    for (size_t i = 60; i < command.size() && i < 80; i += 2) command[i] = input.take();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::FuzzInput input(data, size);
  capture::Output output(UniqueFd(::open("/dev/null", O_WRONLY | O_CLOEXEC)));
  trace::PerfettoWriter perfetto(output);
  fuzz::CheckingWriter writer(perfetto);
  const uint64_t now = observe::TraceSource::now();
  const uint64_t wall_clock = input.take<uint64_t>() >> 2;
  const UniqueFd memory = observe::RecordRing::make_memory(65536).value();
  const auto ring = observe::RecordRing::map(memory.get()).value();
  observe::RecordWriter records(ring);
  std::vector<uint8_t> stream;
  while (!input.empty()) {
    if (input.take() % 2 == 0) append_command(input, stream);
    if (input.take() % 16 == 0) stream.push_back(input.take());
    const size_t part = input.take() % 4 == 0 ? input.below(stream.size() + 1) : stream.size();
    const bool from_host = input.take() % 2 != 0;
    observe::VsockPacketRecord packet;
    packet.payload_size = static_cast<uint32_t>(part) + (input.take() % 16 == 0 ? 7 : 0);
    const auto set = [&](size_t at, auto value) { std::memcpy(packet.header + at, &value, sizeof(value)); };
    set(0, uint64_t{from_host ? 2u : 3u});
    set(8, uint64_t{from_host ? 3u : 2u});
    set(16, uint32_t{input.take()} % 3);
    set(20, uint32_t{input.take()} % 3);
    set(24, packet.payload_size);
    set(28, static_cast<uint16_t>(input.take() % 8 == 0 ? 2 : 1));
    set(30, static_cast<uint16_t>(input.take() % 8 == 0 ? input.take() % 9 : 5));
    std::vector<uint8_t> record(sizeof(packet) + part);
    std::memcpy(record.data(), &packet, sizeof(packet));
    std::copy_n(stream.begin(), part, record.begin() + sizeof(packet));
    stream.erase(stream.begin(), stream.begin() + static_cast<ptrdiff_t>(part));
    // One without room is lost, which the reader is told.
    records.write(observe::kVsockPacketRecord, input.take() % 8 == 0 ? input.take<uint64_t>() : wall_clock + now, record);
  }
  auto wake = observe::make_wake_pair().value();
  wake.writer.reset();
  trace::Recorder recorder(writer, output, std::move(wake.reader), -1);
  recorder.add({.kind = trace::Decoder::Kind::kPackets, .name = "calls", .ring = observe::RecordRing::map(memory.get()).value()});
  fuzz::require(recorder.run({.name = "vm", .pid = 1, .monotonic = now, .realtime = now + wall_clock}, {}) ==
                trace::EndReason::kVmEnded);
  fuzz::require(recorder.finish({}).has_value());
  return 0;
}

// What a debugger sends: packets of the protocol's words and any bytes, in pieces of any size, to a VM that stops and ends as it
// likes.
#include <fmt/format.h>

#include <string>
#include <string_view>

#include "fuzz/fuzz_input.h"
#include "vmm/gdb/session.h"
#include "vmm/gdb/testing/played_target.h"

using adyton::fuzz::FuzzInput;
using adyton::fuzz::require;
using namespace adyton::vmm::gdb;

namespace {

constexpr size_t kVcpus = 3;
constexpr uint32_t kBrk = 0xd4200000;  // what a debugger would hardly write by chance

std::string number(FuzzInput& input) {
  // clang-format off
  static constexpr uint64_t kInteresting[] = {
      0, 1, 4, 8, 0x21, 0x100, testing::PlayedVcpu::kVirtual,
      testing::PlayedVcpu::kVirtual + testing::PlayedVcpu::kMapped - 2, testing::PlayedVcpu::kPhysical, UINT64_MAX - 3,
      UINT64_MAX};
  // clang-format on
  const uint64_t base = kInteresting[input.below(std::size(kInteresting))];
  return fmt::format("{:x}", input.below(2) ? base + input.take<uint8_t>() : base);
}

std::string packet(FuzzInput& input) {
  // clang-format off
  static constexpr std::string_view kWords[] = {
      "?", "g", "G", "p", "P", "m", "M", "X", "Z0,", "Z1,", "Z2,", "Z3,", "Z4,", "z0,", "z1,", "z2,", "Hg", "Hc", "T", "c",
      "s", "C", "S", "D", "k", "vCont;c", "vCont;s:", "vCont?", "vKill;", "qSupported:swbreak+;hwbreak+",
      "qXfer:features:read:target.xml:", "qRcmd,", "qThreadExtraInfo,", "qfThreadInfo", "qC", "QStartNoAckMode",
      "Qqemu.PhyMemMode:", ",", ":", ";", "=", "-1", "}"};
  // clang-format on
  std::string text;
  for (size_t parts = 1 + input.below(8); parts > 0; --parts) {
    switch (input.below(4)) {
      case 0: text += static_cast<char>(input.take<uint8_t>()); break;
      case 1: text += number(input); break;
      default: text += kWords[input.below(std::size(kWords))];
    }
  }
  if (text.starts_with("qRcmd,")) {
    static constexpr std::string_view kCommands[] = {"help",        "info cpus", "info sysregs", "info registers",
                                                     "info memory", "pa 0x",     "xp/9 0x",      " "};
    text += to_hex(fmt::format("{}{}", kCommands[input.below(std::size(kCommands))], number(input)));
  }
  return text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  FuzzInput input(data, size);
  testing::PlayedTarget target(kVcpus);
  const auto ram = target.memory().slice(testing::PlayedVcpu::kPhysical, 0x10000);
  bool killed = false;
  {
    Session session(target);
    size_t sent = 0;
    while (!input.empty()) {
      switch (input.below(6)) {
        case 0: {
          const auto bytes = input.take_bytes(input.below(64));
          session.receive(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
          break;
        }
        case 1: session.receive("\x03"); break;
        case 2: {
          static constexpr uint32_t kClasses[] = {0x30, 0x32, 0x34, 0x3c, 0x0};
          const auto n = static_cast<unsigned>(input.below(kVcpus));
          if (target.running[n] && target.vcpu(n).debug.enable)
            target.stops(n, kClasses[input.below(std::size(kClasses))], input.take<uint16_t>(), input.take<uint64_t>());
          break;
        }
        case 3:
          if (input.below(16) == 0) target.ended = Target::End{};
          break;
        default: session.receive(encode_packet(packet(input)));
      }
      session.check();
      const std::string output = session.take_output();
      require(output.size() <= 64 * 3 * kMaxPacket);
      sent += output.size();
      if (session.over()) break;
    }
    killed = session.kill();
    require(sent < 64 * 1024 * 1024);
  }
  // However it went: the guest runs, without anything of the debugger's in it. (A guest that has ended, or is to be killed, is
  // nobody's.)
  if (target.ended || killed) return 0;
  for (unsigned n = 0; n < kVcpus; ++n) require(target.running[n] && !target.vcpu(n).debug.enable);
  for (size_t at = 0; at < ram.size(); at += 4) {
    uint32_t word = 0;
    std::memcpy(&word, ram.data() + at, 4);
    require(word != kBrk);
  }
  return 0;
}

#include "vmm/gdb/session.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "vmm/gdb/guest_breakpoint.h"
#include "vmm/gdb/monitor.h"

namespace adyton::vmm::gdb {
namespace {

constexpr uint64_t kPage = 4096;
constexpr unsigned kSigInt = 2, kSigTrap = 5;  // as gdb numbers them
constexpr std::string_view kOk = "OK";
// What errno would say is of no interest to gdb; the numbers are to tell the places apart.
constexpr std::string_view kMalformed = "E01", kNoMemory = "E14", kNoRegister = "E15", kNoThread = "E03", kNotNow = "E16", kNoBreakpoint = "E1c";

// ESR's exception classes.
constexpr uint32_t kHardwareBreakpoint = 0x30, kWatchpoint = 0x34, kSoftwareBreakpoint = 0x3c;

}  // namespace

// --- packets in, packets out

void Session::receive(std::string_view bytes) {
  for (const PacketReader::Event& event : reader_.feed(bytes)) {
    if (over_) return;
    switch (event.kind) {
      case PacketReader::Kind::kPacket:
        if (acknowledge_) output_ += '+';
        handle(event.data);
        break;
      case PacketReader::Kind::kBroken:
        if (acknowledge_) output_ += '-';
        break;
      case PacketReader::Kind::kNack:
        // Once: it is not for us to send for ever.
        if (acknowledge_) output_ += std::exchange(last_sent_, {});
        break;
      case PacketReader::Kind::kAck: last_sent_.clear(); break;
      case PacketReader::Kind::kInterrupt: interrupt(); break;
    }
  }
}

void Session::send(std::string_view data) {
  last_sent_ = encode_packet(data);
  output_ += last_sent_;
}

void Session::start() {
  started_ = true;
  target_.hold();
  if (target_.end()) return;
  registers_.emplace(*target_.vcpus().front());
  actions_.resize(target_.vcpus().size());
  applied_.resize(target_.vcpus().size());
  last_stop_ = stop_reply(kSigTrap, 0);
}

void Session::handle(std::string_view packet) {
  if (!started_) start();
  if (target_.end()) return check();
  if (running_) return send(kNotNow);  // a debugger waits for the stop reply
  if (packet == "D" || packet.starts_with("D;")) {
    send(kOk);
    return detach();
  }
  if (packet == "k" || packet.starts_with("vKill;")) {
    if (packet != "k") send(kOk);
    over_ = kill_ = true;
    return;
  }
  if (resume(packet)) return;
  send(answer(packet));
  if (packet == "QStartNoAckMode") acknowledge_ = false;
}

std::string Session::answer(std::string_view packet) {
  Parser rest(packet);
  if (rest.at_end()) return "";
  const char kind = packet.front();
  rest.skip(kind);
  switch (kind) {
    case '?': return last_stop_;
    case 'H': return select_thread(rest);
    case 'T': return thread(rest) ? std::string(kOk) : std::string(kNoThread);
    case 'g': return read_registers();
    case 'G': return write_registers(rest.rest());
    case 'p': return read_register(rest);
    case 'P': return write_register(rest);
    case 'm': return read_memory(rest);
    case 'M': return write_memory(rest, false);
    case 'X': return write_memory(rest, true);
    case 'Z': return change_breakpoint(rest, true);
    case 'z': return change_breakpoint(rest, false);
    case 'q': return query(packet);
    case 'Q': return set_option(packet);
    case 'v': return packet == "vCont?" ? "vCont;c;C;s;S" : "";
    case 'c': case 'C': case 's': case 'S': return std::string(kMalformed);  // resume() did not take it
    default: return "";
  }
}

std::string Session::query(std::string_view packet) {
  Parser rest(packet);
  if (rest.skip("qSupported")) return supported(rest);
  if (rest.skip("qXfer:features:read:target.xml:")) return transfer(rest);
  if (rest.skip("qRcmd,")) return monitor(rest.rest());
  if (rest.skip("qThreadExtraInfo,")) {
    const auto id = thread(rest);
    if (!id || *id == kAnyThread) return std::string(kNoThread);
    return to_hex(fmt::format("vCPU {} [{}]", *id - 1, target_.vcpus()[*id - 1]->powered_on() ? "on" : "off"));
  }
  if (packet == "qfThreadInfo") {
    std::string list = "m";
    for (size_t n = 1; n <= target_.vcpus().size(); ++n) list += fmt::format("{}{:x}", n == 1 ? "" : ",", n);
    return list;
  }
  if (packet == "qsThreadInfo") return "l";
  if (packet == "qC") return fmt::format("QC{:x}", current_ + 1);
  if (packet.starts_with("qAttached")) return "1";  // leaving it is to detach, not to kill
  if (packet == "qqemu.PhyMemMode") return physical_mode_ ? "1" : "0";
  return "";
}

std::string Session::set_option(std::string_view packet) {
  if (packet == "QStartNoAckMode") return std::string(kOk);
  Parser rest(packet);
  if (rest.skip("Qqemu.PhyMemMode:")) {
    const auto value = rest.number();
    if (!value || *value > 1) return std::string(kMalformed);
    physical_mode_ = *value == 1;
    return std::string(kOk);
  }
  return "";
}

std::string Session::supported(Parser packet) {
  packet.skip(':');
  while (!packet.at_end()) {
    const std::string_view feature = packet.until(';');
    if (feature == "swbreak+") tells_software_ = true;
    if (feature == "hwbreak+") tells_hardware_ = true;
  }
  return fmt::format("PacketSize={:x};qXfer:features:read+;QStartNoAckMode+;vContSupported+;swbreak+;hwbreak+", kMaxPacket);
}

std::string Session::transfer(Parser packet) {
  const auto offset = packet.number();
  if (!offset || !packet.skip(',')) return std::string(kMalformed);
  const auto length = packet.number();
  if (!length || !packet.at_end()) return std::string(kMalformed);
  const std::string_view whole = registers_->description();
  if (*offset >= whole.size()) return "l";
  const std::string_view part = whole.substr(*offset, std::min<uint64_t>(*length, kMaxPacket / 2 - 1));
  return (*offset + part.size() == whole.size() ? "l" : "m") + escape_binary(part);
}

std::string Session::monitor(std::string_view hex) {
  const auto line = from_hex(hex);
  if (!line) return std::string(kMalformed);
  std::string text = monitor_command(target_, *registers_, current_, *line);
  if (text.size() > kMaxPacket / 2) text.resize(kMaxPacket / 2);
  return to_hex(text);
}

// --- threads

std::optional<unsigned> Session::thread(Parser& packet) {
  if (packet.skip("-1")) return kAnyThread;
  const auto id = packet.number();
  if (!id || *id > target_.vcpus().size()) return std::nullopt;
  return static_cast<unsigned>(*id);
}

std::string Session::select_thread(Parser packet) {
  if (!packet.skip('g') && !packet.skip('c')) return std::string(kMalformed);
  const auto id = thread(packet);
  if (!id || !packet.at_end()) return std::string(kNoThread);
  if (*id != kAnyThread) current_ = *id - 1;
  return std::string(kOk);
}

// --- registers

std::string Session::read_registers() {
  std::string bytes;
  for (unsigned n = 0; n < kGeneralRegisters; ++n) {
    const auto value = registers_->read(vcpu(), n);
    if (!value) return std::string(kNoRegister);
    bytes += *value;
  }
  return to_hex(bytes);
}

std::string Session::write_registers(std::string_view hex) {
  const auto bytes = from_hex(hex);
  if (!bytes) return std::string(kMalformed);
  size_t at = 0;
  // PSTATE first: it says which stack pointer SP is.
  std::vector<std::pair<unsigned, std::string_view>> values;
  for (unsigned n = 0; n < kGeneralRegisters; ++n) {
    const unsigned size = registers_->all()[n].bytes;
    if (at + size > bytes->size()) return std::string(kMalformed);
    values.emplace_back(n, std::string_view(*bytes).substr(at, size));
    at += size;
  }
  if (at != bytes->size()) return std::string(kMalformed);
  std::ranges::stable_partition(values, [](const auto& value) { return value.first == kCpsrNumber; });
  for (const auto& [n, value] : values) {
    if (!registers_->write(vcpu(), n, value)) return std::string(kNoRegister);
  }
  return std::string(kOk);
}

std::string Session::read_register(Parser packet) {
  const auto n = packet.number();
  if (!n || !packet.at_end() || *n > UINT32_MAX) return std::string(kMalformed);
  const auto value = registers_->read(vcpu(), static_cast<unsigned>(*n));
  return value ? to_hex(*value) : std::string(kNoRegister);
}

std::string Session::write_register(Parser packet) {
  const auto n = packet.number();
  if (!n || *n > UINT32_MAX || !packet.skip('=')) return std::string(kMalformed);
  const auto value = from_hex(packet.rest());
  if (!value) return std::string(kMalformed);
  return std::string(registers_->write(vcpu(), static_cast<unsigned>(*n), *value) ? kOk : kNoRegister);
}

// --- memory

std::optional<GuestPhysAddr> Session::physical(uint64_t address) {
  if (physical_mode_) return address;
  const auto pa = vcpu().translate(address);
  return pa ? std::optional(*pa) : std::nullopt;
}

std::vector<uint8_t> Session::read(uint64_t address, uint64_t length) {
  std::vector<uint8_t> bytes;
  while (bytes.size() < length) {
    const uint64_t at = address + bytes.size();
    const uint64_t here = std::min(length - bytes.size(), kPage - at % kPage);
    const auto pa = physical(at);
    std::vector<uint8_t> part(here);
    if (!pa || !target_.memory().read(*pa, part)) break;
    breakpoints_.hide(*pa, part);
    bytes.insert(bytes.end(), part.begin(), part.end());
  }
  return bytes;
}

std::string Session::read_memory(Parser packet) {
  const auto address = packet.number();
  if (!address || !packet.skip(',')) return std::string(kMalformed);
  const auto length = packet.number();
  if (!length || !packet.at_end()) return std::string(kMalformed);
  const std::vector<uint8_t> bytes = read(*address, std::min<uint64_t>(*length, kMaxPacket / 2));
  if (bytes.empty() && *length > 0) return std::string(kNoMemory);
  return to_hex(bytes);
}

std::string Session::write_memory(Parser packet, bool binary) {
  const auto address = packet.number();
  if (!address || !packet.skip(',')) return std::string(kMalformed);
  const auto length = packet.number();
  if (!length || !packet.skip(':')) return std::string(kMalformed);
  const auto data = binary ? std::optional(std::string(packet.rest())) : from_hex(packet.rest());
  if (!data || data->size() != *length) return std::string(kMalformed);
  const std::span bytes(reinterpret_cast<const uint8_t*>(data->data()), data->size());
  for (size_t done = 0; done < bytes.size();) {
    const uint64_t at = *address + done;
    const size_t here = std::min<uint64_t>(bytes.size() - done, kPage - at % kPage);
    const auto pa = physical(at);
    if (!pa || !breakpoints_.write(*pa, bytes.subspan(done, here))) return std::string(kNoMemory);
    done += here;
  }
  return std::string(kOk);
}

std::string Session::change_breakpoint(Parser packet, bool insert) {
  const auto type = packet.number();
  if (!type || !packet.skip(',')) return std::string(kMalformed);
  const auto address = packet.number();
  if (!address || !packet.skip(',')) return std::string(kMalformed);
  const auto length = packet.number();
  if (!length) return std::string(kMalformed);
  if (*type > 4 || !packet.at_end()) return "";  // conditions and commands are gdb's own to evaluate
  const auto kind = static_cast<Breakpoints::Type>(*type);
  if (insert) return std::string(breakpoints_.insert(kind, *address, *length, vcpu()) ? kOk : kNoBreakpoint);
  breakpoints_.remove(kind, *address, *length);  // taking out what is not there is no error
  return std::string(kOk);
}

// --- running

bool Session::resume(std::string_view packet) {
  Parser rest(packet);
  if (rest.skip("vCont;")) return resume_actions(rest);
  const char kind = packet.empty() ? '\0' : packet.front();
  const bool step = kind == 's' || kind == 'S';
  if (!step && kind != 'c' && kind != 'C') return false;
  rest.skip(kind);
  if (kind == 'C' || kind == 'S') {  // signals are nothing to a CPU
    if (!rest.number()) return false;
    rest.skip(';');
  }
  if (!rest.at_end()) {
    const auto address = rest.number();
    if (!address || !rest.at_end() || !vcpu().set_reg(hypervisor::kRegPc, *address)) return false;
  }
  std::ranges::fill(actions_, Action{.run = !step});
  actions_[current_] = {.run = true, .step = step};
  go_on();
  return true;
}

bool Session::resume_actions(Parser packet) {
  std::vector<std::optional<Action>> wanted(actions_.size());
  while (!packet.at_end()) {
    Parser part(packet.until(';'));
    const bool step = part.skip('s') || part.skip('S');
    if (!step && !part.skip('c') && !part.skip('C')) return false;
    if (!part.at_end() && part.rest().front() != ':') {
      if (!part.number()) return false;  // a signal
    }
    unsigned id = kAnyThread;
    if (part.skip(':')) {
      const auto named = thread(part);
      if (!named) return false;
      id = *named;
    }
    if (!part.at_end()) return false;
    for (size_t i = 0; i < wanted.size(); ++i) {
      // The leftmost action for a thread counts.
      if (!wanted[i] && (id == kAnyThread || id - 1 == i)) wanted[i] = Action{.run = true, .step = step};
    }
  }
  if (std::ranges::none_of(wanted, [](const auto& action) { return action.has_value(); })) return false;
  for (size_t i = 0; i < wanted.size(); ++i) actions_[i] = wanted[i].value_or(Action{});
  go_on();
  return true;
}

void Session::apply_debug(unsigned n, bool single_step) {
  hypervisor::GuestDebug debug = breakpoints_.control();
  debug.single_step = single_step;
  debug.enable = debug.enable || single_step;
  if (applied_[n] == debug) return;
  if (target_.vcpus()[n]->set_guest_debug(debug)) applied_[n] = debug;
}

void Session::go_on() {
  std::vector<bool> which(actions_.size());
  for (unsigned i = 0; i < actions_.size(); ++i) {
    which[i] = actions_[i].run;
    if (actions_[i].run) apply_debug(i, actions_[i].step);
  }
  running_ = true;
  target_.release(which);
}

std::string Session::stop_reply(unsigned signal, unsigned n, std::string_view reason) {
  return fmt::format("T{:02x}thread:{:x};{}", signal, n + 1, reason);
}

void Session::interrupt() {
  if (!started_ || !running_) return;
  target_.hold();
  check();
  if (!running_ || over_) return;
  running_ = false;
  last_stop_ = stop_reply(kSigInt, current_);
  send(last_stop_);
}

void Session::check() {
  if (over_) return;
  if (const auto end = target_.end()) {
    if (running_) send(end->signal ? fmt::format("X{:02x}", *end->signal) : "W00");
    running_ = false;
    over_ = true;
    return;
  }
  if (!running_) return;
  if (const auto stop = target_.stop()) {
    target_.hold();  // the others may be on their way still
    if (!target_.end()) stopped(*stop);
  }
}

void Session::stopped(const Target::Stop& stop) {
  hypervisor::Vcpu& vcpu = *target_.vcpus()[stop.vcpu];
  const uint32_t why = stop.exit.hsr >> 26;
  std::string reason;
  if (why == kSoftwareBreakpoint) {
    const auto pa = vcpu.translate(vcpu.get_reg(hypervisor::kRegPc).value_or(0));
    if (!pa || !breakpoints_.software_at(*pa)) {
      (void)take_guest_breakpoint(vcpu, stop.exit.hsr);
      if (!actions_[stop.vcpu].step) return go_on();
    } else if (tells_software_) {
      reason = "swbreak:;";
    }
  } else if (why == kHardwareBreakpoint) {
    const bool hardware = breakpoints_.register_at(vcpu.get_reg(hypervisor::kRegPc).value_or(0)) != Breakpoints::Type::kSoftware;
    if (hardware ? tells_hardware_ : tells_software_) reason = hardware ? "hwbreak:;" : "swbreak:;";
  } else if (why == kWatchpoint) {
    const auto type = breakpoints_.watching(stop.exit.far);
    const std::string_view name = type == Breakpoints::Type::kRead ? "rwatch" : type == Breakpoints::Type::kAccess ? "awatch" : "watch";
    reason = fmt::format("{}:{:x};", name, stop.exit.far);
  }
  running_ = false;
  current_ = stop.vcpu;
  last_stop_ = stop_reply(kSigTrap, stop.vcpu, reason);
  send(last_stop_);
}

void Session::detach() {
  if (over_) return;
  over_ = true;
  if (!started_ || target_.end()) return;
  target_.hold();
  if (target_.end()) return;
  breakpoints_.clear();
  for (hypervisor::Vcpu* vcpu : target_.vcpus()) (void)vcpu->set_guest_debug({});
  running_ = false;
  target_.release(std::vector<bool>(target_.vcpus().size(), true));
}

}  // namespace adyton::vmm::gdb

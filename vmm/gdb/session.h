// One debugger's session: what its packets mean, and what they are answered. No sockets and no threads: bytes in, bytes out.
//
// The guest stands still from the debugger's first packet on, except between a resuming packet and the stop reply to it. Every vCPU is a thread, numbered from
// 1. Threading: one thread.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "vmm/gdb/breakpoints.h"
#include "vmm/gdb/packet.h"
#include "vmm/gdb/registers.h"
#include "vmm/gdb/target.h"

namespace adyton::vmm::gdb {

class Session {
 public:
  explicit Session(Target& target) : target_(target), breakpoints_(target) {}
  // The guest goes on without breakpoints, as after detach().
  ~Session() { detach(); }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Bytes of the debugger.
  void receive(std::string_view bytes);
  // Something about the guest may have changed: Target::stop() or end().
  void check();
  // Takes the breakpoints out and lets the guest go on. The session is over.
  void detach();

  // What is to be sent. Bounded: one packet and what acknowledges others.
  std::string take_output() { return std::exchange(output_, {}); }
  // The guest is to be killed when the output is sent: the process may not live longer than that.
  [[nodiscard]] bool kill() const { return kill_; }
  // The debugger has detached, killed the guest, or been told of its end: close the connection when the output is sent.
  [[nodiscard]] bool over() const { return over_; }

 private:
  static constexpr unsigned kAnyThread = 0;

  void start();
  void handle(std::string_view packet);
  // The answer to a packet that is answered at once. "" says that the packet is not known.
  std::string answer(std::string_view packet);
  std::string query(std::string_view packet);
  std::string set_option(std::string_view packet);
  std::string transfer(Parser packet);
  std::string supported(Parser packet);
  std::string select_thread(Parser packet);
  std::string read_registers();
  std::string write_registers(std::string_view hex);
  std::string read_register(Parser packet);
  std::string write_register(Parser packet);
  std::string read_memory(Parser packet);
  std::string write_memory(Parser packet, bool binary);
  std::string change_breakpoint(Parser packet, bool insert);
  std::string monitor(std::string_view hex);
  // True: the guest goes on, and the stop reply comes later.
  bool resume(std::string_view packet);
  bool resume_actions(Parser actions);

  void interrupt();
  void go_on();
  void stopped(const Target::Stop& stop);
  void apply_debug(unsigned vcpu, bool single_step);
  [[nodiscard]] hypervisor::Vcpu& vcpu() { return *target_.vcpus()[current_]; }
  // Thread ids of the protocol: 0 is any, none is a malformed or unknown one; -1 (all) counts as any.
  std::optional<unsigned> thread(Parser& packet);
  // As many bytes from `address` on as are there, up to `length`.
  std::vector<uint8_t> read(uint64_t address, uint64_t length);
  std::optional<GuestPhysAddr> physical(uint64_t address);
  void send(std::string_view data);
  std::string stop_reply(unsigned signal, unsigned vcpu, std::string_view reason = {});

  Target& target_;
  Breakpoints breakpoints_;
  std::optional<Registers> registers_;
  PacketReader reader_;
  std::string output_, last_sent_;
  bool started_ = false, over_ = false, kill_ = false, acknowledge_ = true, running_ = false, physical_mode_ = false;
  bool tells_software_ = false, tells_hardware_ = false;  // the debugger knows what swbreak and hwbreak in a stop reply mean
  unsigned current_ = 0;   // the vCPU of g, m and the like
  std::string last_stop_;  // the answer to '?'
  struct Action {
    bool run = false, step = false;
  };
  std::vector<Action> actions_;                           // of the last resume
  std::vector<std::optional<hypervisor::GuestDebug>> applied_;  // what each vCPU has been told
};

}  // namespace adyton::vmm::gdb

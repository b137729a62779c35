// A program that speaks adyton-vmm's control protocol and runs no guest, for tests of the service. What it does is in the words
// of the VM's kernel command line:
//
//   at=PHASE:ACTION   PHASE: configure, start, run, listen, suspend, resume, inspect
//                     ACTION: exit:N, signal:N, hang, noise, garbage, close, error, shutdown, reset, crash
//   console:TEXT      writes TEXT to the console when started; '_' stands for a space, '|' for a line's end
//   dial:PORT         connects to a port of the host once started, and sends "hello from PORT"
//   ask:PORT          asks about a port, and says on the console and to the socket what the answer was
//   panics            when it is inspected a CPU is in panic()
//   aloud             says on the console when it has been inspected
//   echo              what comes in on the console goes out again
//
// It connects to a port that it is told to listen on later at once.
//
// and for behaviour before that, in the environment: FAKE_VMM=at=spawn:ACTION, FAKE_VMM=at=describe:ACTION.
// The payload's first argument says what the guest's init does: see Guest::run().
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <sstream>
#include <string>
#include <thread>

#include "base/unique_fd.h"
#include "guest/exec_protocol.h"
#include "vmm/control/protocol.h"
#include "vmm/control/socket.h"

namespace adyton::service {
namespace {

using namespace vmm::control;

void write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t put = ::write(fd, text.data(), text.size());
    if (put <= 0) return;
    text.remove_prefix(static_cast<size_t>(put));
  }
}

class FakeVmm {
 public:
  void run() {
    if (const char* early = std::getenv("FAKE_VMM")) script_ = early;
    act("spawn");
    for (;;) {
      auto packet = socket_.receive();
      if (!packet) std::exit(0);
      auto request = decode_request(packet->text, packet->fds.size());
      if (!request || packet->lost_fds) std::exit(9);
      if (std::holds_alternative<Describe>(request->body)) {
        if (!act("describe"))
          say(Description{.id = request->id, .backend = "fake", .isolation = "none", .host_features = {"sse"}, .problem = {}});
      } else if (auto* configure = std::get_if<Configure>(&request->body)) {
        script_ += " " + configure->command_line;
        if (act("configure", request->id)) continue;
        console_ = std::move(packet->fds[configure->console_output]);
        ports_ = configure->listen_ports;
        say(vmm::control::Reply{.id = request->id, .error = {}});
      } else if (std::holds_alternative<Start>(request->body)) {
        if (act("start", request->id)) continue;
        say(vmm::control::Reply{.id = request->id, .error = {}});
        started();
      } else if (std::holds_alternative<ReadStatistics>(request->body)) {
        if (act("statistics", request->id)) continue;
        say(Statistics{
            .id = request->id,
            .vm_names = {"code_bytes", "code_capacity_bytes", "code_flushes"},
            .vm = {4096, 8192, 3},
            .vcpu_names = {"exits.mmio", "exits.wfi", "interrupts", "translated_instructions", "tlb_refills", "table_walks",
                           "translated_blocks"},
            .vcpus = {{1, 2, 3, 7, 8, 9, 13}, {4, 5, 6, 10, 11, 12, 14}},
            .devices = {{"virtio-blk", 7, {{8, 9, 10, 11}}}},
            .vsock = {1, 2, 3, 4, 5},
            .balloon = {6, 7, 8, 9, 10, 11, 12}});
      } else if (auto* connect = std::get_if<Connect>(&request->body)) {
        if (connect->port == 2000) continue;  // never answers
        if (connect->port == 2001) {
          say(vmm::control::Reply{.id = request->id, .error = Error{ErrorCode::kExhausted, "no descriptors"}});
          continue;
        }
        auto [mine, theirs] = pair(connect->type == VsockType::kSeqpacket ? SOCK_SEQPACKET : SOCK_STREAM);
        const int fd = theirs.get();
        if (connect->socket) {
          mine = std::move(packet->fds[*connect->socket]);
          ::fcntl(mine.get(), F_SETFL, 0);
          say(vmm::control::Reply{.id = request->id, .error = {}});
          if (connect->port == 2002) continue;  // refused
          write_all(mine.get(), "OK 1073741824\n");
        } else {
          say(vmm::control::Reply{.id = request->id, .error = {}}, std::span(&fd, 1));
        }
        std::thread([mine = std::move(mine)]() mutable { echo(mine.get(), mine.get()); }).detach();
      } else if (auto* capture = std::get_if<Capture>(&request->body)) {
        // Gives the ring back, for the test to see.
        const int fd = packet->fds[capture->ring].get();
        say(vmm::control::Reply{.id = request->id, .error = {}}, std::span(&fd, 1));
      } else if (const auto* reports = std::get_if<vmm::control::CrashReports>(&request->body)) {
        crash_memory_ = std::move(packet->fds[reports->memory]);
        (void)::pwrite(crash_memory_.get(), "as configured", 13, 0);
        say(vmm::control::Reply{.id = request->id, .error = {}});
      } else if (std::holds_alternative<vmm::control::Inspect>(request->body)) {
        if (act("inspect", request->id)) continue;
        const std::string seen = script_.find("panics") == std::string::npos ? "as inspected\x1b" : "  0xffff panic+0x10\n";
        (void)::pwrite(crash_memory_.get(), seen.c_str(), seen.size() + 1, 0);
        say(vmm::control::Reply{.id = request->id, .error = {}});
        if (script_.find("aloud") != std::string::npos) write_all(console_.get(), "inspected\n");
      } else if (std::holds_alternative<vmm::control::Dump>(request->body)) {
        auto [mine, theirs] = pair();
        const int fd = theirs.get();
        write_all(mine.get(), "dump");
        say(vmm::control::Reply{.id = request->id, .error = {}}, std::span(&fd, 1));
      } else if (std::holds_alternative<vmm::control::AttachDebugger>(request->body)) {
        say(vmm::control::Reply{.id = request->id, .error = {}});
      } else if (auto* trace = std::get_if<Trace>(&request->body)) {
        const int fd = packet->fds[trace->rings].get();
        say(vmm::control::Reply{.id = request->id, .error = {}}, std::span(&fd, 1));
      } else if (auto* answer = std::get_if<Answer>(&request->body)) {
        say(vmm::control::Reply{.id = request->id, .error = {}});
        const std::string what = (answer->socket ? "taken " : "refused ") + std::to_string(answer->question) + "\n";
        if (answer->socket) write_all(packet->fds[*answer->socket].get(), what);
        write_all(console_.get(), what);
      } else if (auto* listen = std::get_if<Listen>(&request->body)) {
        if (act("listen", request->id)) continue;
        {
          const std::lock_guard lock(ports_mutex_);
          ports_.push_back(listen->port);
        }
        say(vmm::control::Reply{.id = request->id, .error = {}});
        greet(listen->port);
      } else if (std::holds_alternative<Suspend>(request->body)) {
        if (!act("suspend", request->id)) say(vmm::control::Reply{.id = request->id, .error = {}});
      } else if (std::holds_alternative<Resume>(request->body)) {
        if (!act("resume", request->id)) say(vmm::control::Reply{.id = request->id, .error = {}});
      } else {
        say(vmm::control::Reply{.id = request->id, .error = {}});
        end(EndReason::kStopped);
      }
    }
  }

  // The guest connects to a port of the host.
  UniqueFd dial(uint32_t port) {
    {
      const std::lock_guard lock(ports_mutex_);
      if (std::find(ports_.begin(), ports_.end(), port) == ports_.end()) return {};
    }
    auto [mine, theirs] = pair();
    const int fd = theirs.get();
    say(Accepted{.port = port}, std::span(&fd, 1));
    return std::move(mine);
  }
  [[noreturn]] void end(EndReason reason, std::string message = {}) {
    say(Ended{.reason = reason, .message = std::move(message)});
    std::exit(0);
  }

 private:
  static std::pair<UniqueFd, UniqueFd> pair(int type = SOCK_STREAM) {
    int ends[2];
    if (::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) != 0) std::exit(9);
    return {UniqueFd(ends[0]), UniqueFd(ends[1])};
  }
  static void echo(int from, int to) {
    char buffer[65536];
    for (ssize_t got; (got = ::read(from, buffer, sizeof(buffer))) > 0;) write_all(to, {buffer, static_cast<size_t>(got)});
  }
  void say(const Event& event, std::span<const int> fds = {}) {
    std::lock_guard lock(mutex_);
    (void)socket_.send(*encode(event), fds);
  }

  // Whether there was something to do instead of the usual.
  bool act(const std::string& phase, uint32_t id = 0) {
    std::istringstream words(script_);
    const std::string prefix = "at=" + phase + ":";
    for (std::string word; words >> word;) {
      if (!word.starts_with(prefix)) continue;
      const std::string action = word.substr(prefix.size());
      if (action.starts_with("exit:")) {
        std::fprintf(stderr, "adyton-vmm: told to exit\n");
        std::fflush(stderr);
        ::_exit(std::atoi(action.c_str() + 5));
      }
      if (action.starts_with("signal:")) {
        const int number = std::atoi(action.c_str() + 7);
        ::signal(number, SIG_DFL);  // sanitizers make a report and an exit of a fault
        ::kill(::getpid(), number);
      }
      if (action == "hang") {
        for (;;) ::pause();
      }
      if (action == "noise") {
        for (int i = 0; i < 20'000; ++i) std::fprintf(stderr, "\x1b[31mnoise %d vm=other\n", i);
        return false;
      }
      if (action == "close") {
        socket_ = {};
        for (;;) ::pause();
      }
      if (action == "garbage") (void)socket_.send("{nonsense");
      if (action == "error")
        say(vmm::control::Reply{.id = id, .error = Error{ErrorCode::kInvalidArgument, "the kernel is not one"}});
      if (action == "shutdown") end(EndReason::kShutdown);
      if (action == "reset") end(EndReason::kReset);
      if (action == "crash") end(EndReason::kCrashed, "it did a strange thing");
      return true;
    }
    return false;
  }

  void started();
  void greet(uint32_t port) {
    UniqueFd stream = dial(port);
    if (!stream.valid()) return;
    write_all(stream.get(), "hello from " + std::to_string(port));
    (void)stream.release();  // lives as long as the guest
  }

  Socket socket_{UniqueFd(kControlFd)};
  std::mutex mutex_;
  std::string script_;
  UniqueFd crash_memory_;
  UniqueFd console_;
  std::mutex ports_mutex_;
  std::vector<uint32_t> ports_;  // guarded by ports_mutex_: the guest's thread looks for one while another is added
};

// Plays init.
class Guest {
 public:
  explicit Guest(FakeVmm& vmm) : vmm_(vmm) {}

  void run() {
    control_ = vmm_.dial(guest::kControlPort);
    if (!control_.valid()) return;
    say(guest::Hello{.kernel_release = "fake"});
    const auto request = hear();
    if (!request) vmm_.end(EndReason::kShutdown);
    const auto& exec = std::get<guest::ExecRequest>(*request);
    const std::string what = exec.argv.size() > 1 ? exec.argv[1] : "exit:0";
    if (what == "silent") return;
    if (what == "nonsense") return write_all(control_.get(), "nonsense, and more than a header of it");
    if (what == "flood") {
      for (;;) write_all(control_.get(), std::string("\xff\xff\xff\x00", 4) + std::string(65536, 'x'));
    }
    if (what == "missing") {
      say(guest::ExecFailed{.error_number = 2, .exit_code = guest::kExitNotFound, .message = "no such program"});
      return leave();
    }
    say(guest::Started{.pid = 2});
    UniqueFd in, out, err;
    if (exec.terminal) {
      out = vmm_.dial(guest::kTerminalPort);
    } else {
      in = vmm_.dial(guest::kStdinPort);
      out = vmm_.dial(guest::kStdoutPort);
      err = vmm_.dial(guest::kStderrPort);
    }
    write_all(out.get(), "to stdout\n");
    write_all(err.get(), "to stderr\n");
    if (what == "cat") {
      char buffer[4096];
      for (ssize_t got; (got = ::read(in.get(), buffer, sizeof(buffer))) > 0;)
        write_all(out.get(), {buffer, static_cast<size_t>(got)});
    }
    if (what == "crash") vmm_.end(EndReason::kCrashed, "in the middle");
    if (what == "lost") {
      control_.reset();
      return;
    }
    guest::Exited exited{.value = static_cast<uint32_t>(what.starts_with("exit:") ? std::atoi(what.c_str() + 5) : 0)};
    if (what.starts_with("signal:")) exited = {.signalled = true, .value = static_cast<uint32_t>(std::atoi(what.c_str() + 7))};
    if (what == "wait" || what == "deaf" || what == "stubborn") {
      for (;;) {
        const auto message = hear();
        if (!message) vmm_.end(EndReason::kShutdown);
        const auto* signal = std::get_if<guest::Signal>(&*message);
        if (std::holds_alternative<guest::SetClock>(*message)) write_all(out.get(), "clock set\n");
        if (const auto* size = std::get_if<guest::WindowSize>(&*message))
          write_all(out.get(), std::to_string(size->rows) + "x" + std::to_string(size->columns) + "\n");
        const auto* end = std::get_if<guest::End>(&*message);
        if (end != nullptr) write_all(out.get(), "has " + std::to_string(end->grace_ms) + " ms to end\n");
        // The payload's time is over at once; a stubborn init does not look at it.
        const bool kill = std::holds_alternative<guest::Kill>(*message) || (end != nullptr && what == "deaf");
        if (what != "wait" && !kill) continue;
        if (signal == nullptr && end == nullptr && !kill) continue;
        exited = {.signalled = true, .value = static_cast<uint32_t>(kill ? SIGKILL : end != nullptr ? SIGTERM : signal->number)};
        break;
      }
    }
    out.reset();
    err.reset();
    say(exited);
    leave();
  }

 private:
  void leave() {
    while (hear()) {}
    vmm_.end(EndReason::kShutdown);
  }
  void say(const guest::Message& message) {
    const auto bytes = *guest::encode(message);
    write_all(control_.get(), {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  }
  std::optional<guest::Message> hear() {
    for (;;) {
      auto message = reader_.next();
      if (!message) return std::nullopt;
      if (*message) return std::move(**message);
      uint8_t buffer[4096];
      const ssize_t got = ::read(control_.get(), buffer, sizeof(buffer));
      if (got <= 0) return std::nullopt;
      reader_.append({buffer, static_cast<size_t>(got)});
    }
  }

  FakeVmm& vmm_;
  UniqueFd control_;
  guest::MessageReader reader_;
};

void FakeVmm::started() {
  std::istringstream words(script_);
  for (std::string word; words >> word;) {
    if (word.starts_with("console:")) {
      std::string text = word.substr(8);
      for (char& c : text) {
        if (c == '_') c = ' ';
        if (c == '|') c = '\n';
      }
      write_all(console_.get(), text + "\n");
    } else if (word.starts_with("dial:")) {
      greet(static_cast<uint32_t>(std::atoi(word.c_str() + 5)));
    } else if (word.starts_with("ask:")) {
      const auto port = static_cast<uint32_t>(std::atoi(word.c_str() + 4));
      say(Asked{.question = port, .port = port});
    } else if (word == "echo") {
      std::thread([this] { echo(console_.get(), console_.get()); }).detach();
    }
  }
  act("run");
  std::thread([this] { Guest(*this).run(); }).detach();
}

}  // namespace
}  // namespace adyton::service

int main() {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::signal(SIGPIPE, SIG_IGN);
  adyton::service::FakeVmm().run();
}

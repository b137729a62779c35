#include "vmm/sandbox/violation.h"

#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <string_view>

#include "vmm/sandbox/filter.h"

namespace adyton::vmm::sandbox {
namespace {

int control_socket = -1;
thread_local std::array<char, 16> thread_name{};

// Text in a fixed buffer: a signal handler may interrupt malloc().
class Line {
 public:
  void add(std::string_view text) {
    const size_t size = std::min(text.size(), text_.size() - size_);
    std::memcpy(text_.data() + size_, text.data(), size);
    size_ += size;
  }
  void add_number(unsigned long value) {
    char digits[20];
    size_t at = sizeof(digits);
    do {
      digits[--at] = static_cast<char>('0' + value % 10);
      value /= 10;
    } while (value != 0);
    add({digits + at, sizeof(digits) - at});
  }
  [[nodiscard]] const char* data() const { return text_.data(); }
  [[nodiscard]] size_t size() const { return size_; }

 private:
  std::array<char, 512> text_{};
  size_t size_ = 0;
};

void add_thread(Line& line) {
  line.add(" (thread ");
  // Names are ours; whoever overwrites memory must not be able to write JSON of their own.
  for (const char c : thread_name) {
    if (c == '\0') break;
    const bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
    line.add(plain ? std::string_view(&c, 1) : "?");
  }
  line.add(")");
}

// abort() raises SIGABRT with tgkill(), which no policy lists: that is a fault, not an attack, and is called so.
bool is_abort(const siginfo_t& info, const ucontext_t& context) {
#if defined(__x86_64__)
  return info.si_syscall == SYS_tgkill && context.uc_mcontext.gregs[REG_RDX] == SIGABRT;
#elif defined(__aarch64__)
  return info.si_syscall == SYS_tgkill && context.uc_mcontext.regs[2] == SIGABRT;
#endif
}

[[noreturn]] void on_forbidden_call(int, siginfo_t* info, void* context) {
  constexpr int kBySeccomp = 1;  // SYS_SECCOMP of <asm-generic/siginfo.h>
  Line line;
  if (info->si_code == kBySeccomp) {
    if (is_abort(*info, *static_cast<const ucontext_t*>(context))) {
      line.add(R"({"type":"ended","reason":"internal-error","message":"the virtual machine monitor aborted)");
    } else {
      line.add(R"({"type":"ended","reason":"forbidden-call","message":"it made the system call )");
      if (const char* name = system_call_name(info->si_syscall)) {
        line.add(name);
      } else {
        line.add("number ");
        line.add_number(static_cast<unsigned>(info->si_syscall));
      }
      line.add(", which its sandbox forbids");
    }
    add_thread(line);
    line.add("\"}");
    // write(), as every policy lists it. When nobody is there to read it, nobody misses it.
    (void)!::write(control_socket, line.data(), line.size());
  }
  for (;;) ::syscall(SYS_exit_group, kForbiddenCallExit);
}

}  // namespace

void remember_thread_name(const char* name) { std::strncpy(thread_name.data(), name, thread_name.size() - 1); }

Result<void> report_forbidden_calls(int control) {
  control_socket = control;
  struct sigaction action{};
  action.sa_sigaction = on_forbidden_call;
  action.sa_flags = SA_SIGINFO;
  ::sigfillset(&action.sa_mask);
  if (::sigaction(SIGSYS, &action, nullptr) != 0) return fail_errno("cannot handle SIGSYS");
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGSYS);
  ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
  return {};
}

}  // namespace adyton::vmm::sandbox

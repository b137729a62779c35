#include "cli/top.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <optional>
#include <utility>

#include "cli/message.h"
#include "cli/service.h"
#include "cli/terminal.h"
#include "cli/top_views.h"
#include "cli/user.h"

namespace adyton::cli {
namespace {

using Clock = std::chrono::steady_clock;

Result<Look> look(VirtualMachineManager& manager, const std::optional<std::string>& name) {
  Look now{.vms = TRY(manager.listActivity()), .service = TRY(manager.serviceStatistics())};
  if (!name) return now;
  std::erase_if(now.vms, [&](const auto& vm) { return vm.info.name != *name; });
  std::erase_if(now.service.calls, [&](const auto& calls) { return calls.vm != *name; });
  if (now.vms.empty()) return fail(ErrorCode::kNotFound, fmt::format("no virtual machine '{}' is running", *name));
  return now;
}

// Shows looks on a terminal, whole or not at all, and takes keys there.
class Display {
 public:
  explicit Display(const TopOptions& options) : interactive_(!options.once && ::isatty(STDOUT_FILENO) == 1) {
    screen_.all = options.name && !options.view;
    screen_.view = options.view.value_or(TopView::kVms);
  }

  // The exit code, 0 if all is well.
  int show(const Look& before, const Look& now, std::chrono::milliseconds elapsed) {
    if (!interactive_) return print(format_top(before, now, elapsed, screen_));
    if (::isatty(STDIN_FILENO) == 1) (void)keys_.raw();  // without keys it shows all the same
    const TerminalSize size = terminal_size(STDOUT_FILENO).value_or(TerminalSize{});
    screen_.columns = std::max<size_t>(size.columns, 100);
    const std::string text = format_top(before, now, elapsed, screen_);
    const std::string keys = keys_.is_raw() ? help() : "";
    // Longer lines than the terminal's are cut: none of them takes the place of two. The last line stays empty.
    const size_t room = size.rows - std::min<size_t>(size.rows, keys.empty() ? 1 : 3);
    return print("\033[?7l\033[H" + fitted(text, room) + fitted(keys, 2) + "\033[J\033[?7h");
  }

  [[nodiscard]] bool takes_keys() const { return keys_.is_raw(); }
  // False: the user wants it to end.
  bool take_key() {
    char key = 0;
    if (::read(STDIN_FILENO, &key, 1) != 1) return false;
    constexpr char kCtrlC = 3;
    if (key == 'q' || key == 'Q' || key == kCtrlC) return false;
    if (const auto number = static_cast<size_t>(key - '1'); key >= '1' && number < kTopViews.size()) {
      screen_.all = false;
      screen_.view = kTopViews[number].second;
    } else if (key == 'a') {
      screen_.all = true;
    }
    return true;
  }

 private:
  static std::string help() {
    std::string text = "\n";
    for (size_t i = 0; i < kTopViews.size(); ++i) text += fmt::format("{} {}  ", i + 1, kTopViews[i].first);
    return text + "a all  q quit\n";
  }
  // What has room, each line to the end of the terminal's: a terminal in raw mode does not return by itself.
  static std::string fitted(const std::string& text, size_t rows) {
    std::string all;
    for (size_t begin = 0; begin < text.size() && rows > 0; --rows) {
      const size_t end = std::min(text.find('\n', begin), text.size());
      all += text.substr(begin, end - begin) + "\033[K\r\n";
      begin = end + 1;
    }
    return all;
  }

  const bool interactive_;
  TopScreen screen_;
  RawTerminal keys_{STDIN_FILENO};
};

}  // namespace

int top(const TopOptions& options) {
  const auto signals = take_signals();  // before there are threads that a signal could go to
  if (!signals) return failed(signals.error());
  const auto manager = connect_to_service();
  if (!manager) return failed(manager.error());
  if (options.json) {
    const auto now = look(**manager, options.name);
    return now ? print(format_top_json(*now)) : failed(now.error());
  }
  Display display(options);
  Look before;
  Look now;
  std::chrono::milliseconds elapsed{0};
  Clock::time_point looked;
  for (bool first = true;; first = false) {
    auto taken = look(**manager, options.name);
    if (!taken) return failed(taken.error());
    before = std::exchange(now, std::move(*taken));
    elapsed = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - looked);
    looked = Clock::now();
    if (!first || !options.once) {
      if (const int code = display.show(before, now, elapsed); code != 0) return code;
      if (options.once) return 0;
    }
    const auto next = looked + options.interval;
    for (;;) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(next - Clock::now());
      if (left.count() <= 0) break;
      pollfd wake[2] = {{.fd = signals->get(), .events = POLLIN, .revents = 0},
                        {.fd = display.takes_keys() ? STDIN_FILENO : -1, .events = POLLIN, .revents = 0}};
      if (::poll(wake, 2, static_cast<int>(left.count())) <= 0) continue;
      if (wake[0].revents != 0) {
        signalfd_siginfo signal{};
        if (::read(signals->get(), &signal, sizeof(signal)) != sizeof(signal)) continue;
        const auto number = static_cast<int>(signal.ssi_signo);
        if (number != SIGWINCH && number != SIGCONT && number != SIGUSR1 && number != SIGUSR2)
          return number == SIGINT ? 0 : 128 + number;
      }
      if (wake[1].revents != 0 && !display.take_key()) return 0;
      if (const int code = display.show(before, now, elapsed); code != 0) return code;
    }
  }
}

}  // namespace adyton::cli

#include "cli/command_line.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <bit>

#include "cli/completion.h"
#include "cli/mistake.h"
#include "cli/options.h"
#include "cli/run_flags.h"
#include "cli/usage.h"
#include "cli/version.h"
#include "cli/words.h"
#include "sdk/size.h"

namespace adyton::cli {
namespace {

std::unexpected<Error> bad(std::string message) { return fail(ErrorCode::kInvalidArgument, std::move(message)); }

const std::string kRunText =
    "PAYLOAD is an AArch64 ELF program, static or dynamic, or a directory with a root file system. Its standard\n"
    "streams, signals and exit code are yours.\n";

// All commands with their options.
class CommandLine {
 public:
  CommandLine() {
    app_.require_subcommand(1);
    app_.set_version_flag("--version", version_text());
    app_.footer("Isolation: every VM of this version runs at level 'none' (the host may look in); 'adyton doctor' says more.");
    add_run();
    add_lifecycle();
    add_inside();
    add_looking();
    add_tools();
  }

  CLI::App& app() { return app_; }
  CLI::App& run_command() { return *run_; }

  Result<Command> parse(std::vector<std::string> ours) {
    // As git and docker have them.
    if (!ours.empty() && ours.front() == "version") ours.front() = "--version";
    if (!ours.empty() && ours.front() == "help") {
      ours.erase(ours.begin());
      ours.insert(ours.begin() + (ours.empty() ? 0 : 1), "--help");
    }
    if (!ours.empty() && ours.front() == "run") run_flags_.run.command = split_command(*run_, ours, 0);
    if (!ours.empty() && ours.front() == "create") create_flags_.run.command = split_command(*create_, ours, 1);
    if (!ours.empty() && ours.front() == "exec") exec_options_.command = split_command(*exec_, ours, 1);
    if (!ours.empty() && ours.front() == "aidl") {
      // All of it is aidlc's, --help too.
      aidl_options_.arguments.assign(ours.begin() + 1, ours.end());
      ours.resize(1);
    }
    const std::vector<std::string> given = ours;
    std::reverse(ours.begin(), ours.end());  // as CLI::App::parse takes them
    try {
      app_.parse(ours);
    } catch (const CLI::CallForHelp&) { return PrintText{help()}; } catch (const CLI::CallForVersion& version) {
      return PrintText{std::string(version.what()) + "\n"};
    } catch (const CLI::ParseError& error) { return bad(describe_mistake(app_, given, error)); }
    return chosen();
  }

 private:
  CLI::App* add(const std::string& name, const std::string& description) { return app_.add_subcommand(name, description); }

  void add_run() {
    run_ = add("run", "Run a payload, or a kernel, in a virtual machine of its own");
    run_->footer(
        "Exit code: the payload's own; 125 Adyton failed, 126 the payload is not executable, 127 it was not found,\n"
        "128+N a signal ended it. Ctrl-C goes to the payload, a second one ends the VM. With --kernel the serial console\n"
        "is yours; Ctrl-A X ends the VM.\n"
        "Isolation level: none (the host may look in).");
    run_flags_.add_to(*run_);
    run_flags_.add_attached_to(*run_);
    create_ = add("create", "Make a virtual machine that stays, without starting it");
    create_->add_option("NAME", create_flags_.name, "Its name")->required();
    create_flags_.add_to(*create_);
    create_->add_flag("--tty,-t", create_flags_.tty, "Give the payload a terminal, for 'adyton start --attach'");
  }

  void add_verb(VmVerb verb, const std::string& name, const std::string& description, const std::string& footer) {
    CLI::App* command = add(name, description);
    command->add_option("NAME", verb_options_.names, "Names of virtual machines")->required();
    if (verb == VmVerb::kKill)
      command->add_option("--signal,-s", signal_, "Send this signal to the payload instead")->type_name("SIGNAL");
    if (verb == VmVerb::kDelete) command->add_flag("--force,-f", verb_options_.force, "Also if it runs: end it first");
    if (verb == VmVerb::kStart)
      command->add_flag("--attach,-a", verb_options_.attach, "Stay with the VM as 'adyton run' does: streams, signals, exit code");
    if (verb == VmVerb::kStop)
      command->add_option("--time,-t", stop_seconds_, "How long the payload has to end; 0: pull the plug at once")->type_name("SECONDS");
    command->footer(footer);
    verbs_.emplace_back(command, verb);
  }

  void add_lifecycle() {
    add_verb(VmVerb::kStart, "start", "Start virtual machines that have been made before", "They run in the background. With --attach one VM runs until its payload, or you, end it; its payload has a terminal if it was\n"
             "made with one ('adyton create --tty'), and the exit code is as 'adyton run' has it.");
    add_verb(VmVerb::kStop, "stop", "End virtual machines in order",
             "The guest's agent is asked to shut down, or the payload gets SIGTERM; the plug is pulled after five seconds. With --time the\n"
             "payload has so long before the guest kills it, and the plug is pulled two seconds later if that does not help.");
    add_verb(VmVerb::kKill, "kill", "End virtual machines at once", "As if their plug had been pulled.");
    add_verb(VmVerb::kDelete, "delete", "Delete virtual machines for good", "With all that belongs to them.");
    add_verb(VmVerb::kWait, "wait", "Wait until virtual machines end",
             "Exit code: that of the last one's payload; 0 if a custom VM powered off; 125 if it ended otherwise.");
    add_verb(
        VmVerb::kSuspend, "suspend", "Halt virtual machines without ending them",
        "Their memory, streams and connections stay. Time does not pass in them until 'adyton resume'; then the wall clock of a\n"
        "machine that runs a payload is set anew.");
    add_verb(VmVerb::kResume, "resume", "Let suspended virtual machines run on", "");
  }

  void add_inside() {
    exec_ = add("exec", "Run a further program in a virtual machine that runs a payload");
    exec_->add_option("NAME", exec_options_.name, "The virtual machine")->required();
    exec_->add_option("--env,-e", exec_env_, "Set NAME in the program's environment; NAME alone passes your own value on")
        ->type_name("NAME[=VALUE]")
        ->allow_extra_args(false);
    exec_->add_option("--workdir,-w", exec_options_.workdir, "The program's working directory")->type_name("DIR");
    exec_->add_flag("--interactive,-i")->description("For the habit: your standard input is the program's in any case");
    exec_->add_flag("--tty,-t", exec_tty_, "Give the program a terminal (automatic when stdin and stdout are terminals)");
    exec_->add_flag("--no-tty,-T", exec_no_tty_, "Give the program plain streams, whatever ours are");
    exec_->footer("Exit code: as 'adyton run'. The program ends with the payload.");
    copy_ = add("cp", "Copy files and folders into or out of a virtual machine");
    copy_
        ->add_option("SOURCE", copy_from_, "NAME:PATH in a virtual machine, or a file or folder of the host; - is standard input")
        ->required();
    copy_->add_option("TARGET", copy_to_, "NAME:PATH, or a file or folder of the host; - is standard output")->required();
    copy_->add_flag("--follow-link,-L", copy_follow_link_, "If SOURCE is a symbolic link, copy what it leads to");
    copy_->footer(
        "A folder is copied with all in it: into TARGET, if that is a folder, or as TARGET; of 'SOURCE/.' only what is in it.\n"
        "Modes, times, symbolic links and holes stay; owner is who makes the copy. Sockets, pipes and devices are left out.\n"
        "It works while the payload runs, and needs no programs there.");
    console_ = add("console", "Read and type on a virtual machine's console");
    console_->add_option("NAME", console_options_.name, "The virtual machine")->required();
    console_->footer(
        "Begins with the up to 1 MiB that it has written last. At the beginning of a line ~. leaves, ~~ types one ~.");
    logs_ = add("logs", "Show what a virtual machine's payload has written");
    logs_->add_option("NAME", logs_options_.name, "The virtual machine")->required();
    logs_->add_flag("--follow,-f", logs_options_.follow, "Go on until it ends");
    logs_->add_option("--tail,-n", logs_options_.tail, "Begin with so many lines of what there is (otherwise: all)")
        ->type_name("LINES");
    logs_->footer(
        "Of a payload that runs in the background, and what the guest's init complains of; the last 1 MiB at most. A VM that is "
        "kept keeps the log of its last run.");
  }

  void add_looking() {
    debug_ = add("gdb", "Let gdb debug a virtual machine that runs");
    debug_->add_option("NAME", debug_options_.name, "The virtual machine")->required();
    debug_->add_option("ADDRESS", debug_options_.address, "unix:PATH, :PORT or HOST:PORT, where HOST is this machine")
        ->capture_default_str();
    debug_->footer("Prints what to tell gdb-multiarch. The guest stands still from gdb's first word on; 'detach' lets it go on.");
    dump_ = add("dump", "Write the memory and registers of a virtual machine that runs to an ELF core");
    dump_->add_option("NAME", dump_options_.name, "The virtual machine")->required();
    dump_->add_option("--output,-o", dump_options_.output, "The file, which must not exist (default: NAME.core)")
        ->type_name("FILE");
    dump_->footer("The guest stands still meanwhile. gdb-multiarch and crash read the core; it holds all secrets of the guest.");
    crash_report_ = add("crash-report", "Show what was kept of guests that crashed");
    crash_report_->add_option("NAME", crash_report_options_.name,
                              "The virtual machine, whose last report is shown; none: list all reports");
    crash_report_->add_flag("--list,-l", crash_report_options_.list, "List its reports");
    crash_report_->footer(
        "Kernel panics, payloads that a fault has killed or that did not start, and VMs that could not go on leave a report.");
    list_ = add("list", "List virtual machines");
    list_->alias("ls");
    list_->add_flag("--running,-r", list_options_.running, "Only those that run");
    list_->add_flag("--json", list_options_.json, "As JSON");
    list_->add_flag("--names", list_options_.names, "Only the names, one to a line");
    info_ = add("info", "Say what is known of a virtual machine, or of the machine and its service");
    info_->add_option("NAME", info_options_.name, "The virtual machine; none: what this machine can do");
    info_->add_flag("--json", info_options_.json, "As JSON");
    balloon_ = add("balloon", "Show or set how much memory a virtual machine gives back");
    balloon_->add_option("NAME", balloon_options_.name, "The virtual machine")->required();
    balloon_->add_option("SIZE", balloon_size_, "What the guest is to give back: 256M, say, or 0 (default: only show it)");
    balloon_->footer(
        "The guest's memory balloon takes pages from the guest, and the host uses them otherwise. The guest follows as far as it "
        "can, and takes "
        "memory back when it runs short.\nPages that the guest does not use go back to the host in any case.");
    top_ = add("top", "Show what virtual machines use, again and again");
    top_->add_option("--interval,-i", top_seconds_, "Time between two looks")->type_name("SECONDS")->capture_default_str();
    top_->add_flag("--once", top_options_.once, "Look twice, print once");
    top_->add_flag("--json", top_options_.json, "Print all counters once, as JSON");
    top_->add_option("NAME", top_options_.name, "The virtual machine of which everything is shown; none: all, a line each");
    std::vector<std::string> views;
    for (const auto& [name, view] : kTopViews) views.emplace_back(name);
    top_->add_option("--view", top_view_, fmt::format("What is shown: {} (default: vms)", fmt::join(views, ", ")))
        ->type_name("VIEW")
        ->check(CLI::IsMember(views));
    top_->footer(
        "On a terminal, the keys 1 to 7 choose the view, and q ends. Rates are of the time between two looks, or of a new "
        "virtual "
        "machine's life; sizes are in units of 1024, other counts of 1000.\n"
        "vms      CPU time, exits, translated code, misses of the software TLB, memory, what virtqueues and vsock carried\n"
        "exits    what took vCPUs out of guest code, by reason, and the interrupts that they took\n"
        "code     translated code, translations, misses of both levels of the software TLB\n"
        "memory   what the host gave, the balloon has, and the guest says\n"
        "devices  doorbells, descriptor chains and bytes of each virtqueue\n"
        "vsock    connections and payload of vsock\n"
        "rpc      calls that the service served since it was started, and how long they took\n"
        "The lines above tell how short the host is of resources (PSI). Metrics for Prometheus have the same numbers.");
    add_capture();
    add_trace();
    doctor_ = add("doctor", "Say what this machine offers and what is missing");
    doctor_->add_flag("--json", doctor_options_.json, "As JSON");
  }

  void add_capture() {
    capture_ = add("capture", "Show or record the vsock packets of running virtual machines");
    capture_->add_option("NAME", capture_options_.names, "Names of virtual machines")->required();
    capture_->add_option("--write,-w", capture_options_.file, "Write a capture file; - is standard output")->type_name("FILE");
    capture_
        ->add_option("--format", capture_format_,
                     "pcapng; or pcap, which a file is that ends in .pcap, and knows one VM, and neither comments nor drops")
        ->check(CLI::IsMember({"pcapng", "pcap"}));
    capture_->add_option("--port,-p", capture_options_.ports, "Only packets from or to this vsock port; again for more ports")
        ->type_name("PORT")
        ->allow_extra_args(false);
    capture_->add_option("--snaplen,-s", capture_options_.snaplen, "Keep this much of each packet, 76 bytes of headers included")
        ->type_name("BYTES")
        ->capture_default_str();
    capture_->add_option("--count,-c", capture_options_.count, "End after this many packets")->type_name("COUNT");
    capture_->add_option("--buffer-size,-B", capture_buffer_, "Memory shared with each VM, for packets not read yet")
        ->type_name("KIB")
        ->capture_default_str();
    capture_->add_flag("--verbose,-v", capture_options_.verbose, "Text: credits too");
    capture_->add_flag("--dump,-X", capture_options_.dump, "Text: payload too, in hexadecimal and ASCII");
    capture_->add_flag("--quiet,-q", capture_options_.quiet, "Do not say what is captured and how much it was");
    capture_->footer(
        "Without -w a line per packet is printed. It ends at Ctrl-C, after --count packets, with the virtual machines, or when "
        "nobody\n"
        "reads its output any more; the exit code is 0 then. A guest is never slowed down: packets for which there is no room "
        "are\n"
        "dropped, counted, and said in the file. What is shown is what the host sees of the guest's vsock in any case, at every\n"
        "isolation level. Example: adyton capture demo -w - | tshark -r -");
  }

  void add_trace() {
    trace_ = add("trace", "Record what a running virtual machine does, for ui.perfetto.dev");
    trace_->add_option("NAME", trace_options_.name, "Name of a virtual machine")->required();
    trace_->add_option("--output,-o", trace_options_.file, "The file to write; - is standard output")
        ->type_name("FILE")
        ->required();
    trace_
        ->add_option("--format", trace_format_,
                     "perfetto; chrome-json, which a file is that ends in .json; or text: a timeline to read, also of .txt")
        ->check(CLI::IsMember({"perfetto", "chrome-json", "text"}));
    trace_->add_option("--duration,-d", trace_seconds_, "End after this time")->type_name("SECONDS");
    trace_
        ->add_option("--categories,-c", trace_categories_,
                     "What to record, of vcpu, translation, interrupt, virtio, vsock, rpc, memory, boot (all: these), and calls")
        ->type_name("LIST")
        ->delimiter(',')
        ->allow_extra_args(false)
        ->check(CLI::IsMember(std::vector<std::string>(kTraceCategories.begin(), kTraceCategories.end())));
    trace_->add_option("--buffer-size,-B", trace_buffer_, "Memory shared with each vCPU and device, for records not read yet")
        ->type_name("KIB")
        ->capture_default_str();
    trace_->add_flag("--quiet,-q", trace_options_.quiet, "Do not say how much it was");
    trace_->footer(
        "It ends at Ctrl-C, after --duration, with the virtual machine, or when nobody reads its output any more; the exit code "
        "is\n"
        "0 then. A guest is never held up: records for which there is no room are dropped, counted, and said in the trace. A\n"
        "virtual machine has one trace at a time. Of an isolated one, vcpu, translation and interrupt are refused: they would "
        "show\n"
        "what goes on inside. Example: adyton trace demo -d 5 -o demo.perfetto-trace");
  }

  void add_tools() {
    prepare_ = add("prepare", "Fetch and build what the first run needs (the guest's kernel), so that runs need no network");
    prepare_->add_flag("--quiet,-q", prepare_options_.quiet, "Show no progress");
    add_kernel_suite(*prepare_, prepare_options_.kernel_suite);
    prune_ = add("prune", "Show, or with --force remove, what is kept so that virtual machines start sooner");
    prune_->add_flag("--force,-f", prune_options_.force, "Remove it");
    prune_->add_option("--unused-for", prune_days_, "Only what nobody has used for so many days")
        ->type_name("DAYS")
        ->check(CLI::Range(0, 10000));
    prune_->footer(
        "These are kernels, their packages, and images of directories (--rootfs, --mount) in ~/.cache/adyton. What a running "
        "virtual\n"
        "machine has open stays; what is needed again is fetched or made again. What nobody uses for 30 days goes by itself.");
    aidl_ = add("aidl", "Run the AIDL compiler");
    aidl_->footer("'adyton aidl ARGS...' is 'aidlc ARGS...': see 'adyton aidl --help'.");
    completion_ = add("completion", "Print a completion script for a shell");
    completion_->add_option("SHELL", shell_, "bash, zsh or fish")->required()->check(CLI::IsMember({"bash", "zsh", "fish"}));
    completion_->footer("As in: source <(adyton completion bash)");
    manual_ = add("generate-manual", "Write the man pages into a folder");
    manual_->add_option("DIR", manual_options_.directory, "The folder")->required();
    manual_->group("");  // for the package, not for people
  }

  std::string help() {
    const auto parsed = app_.get_subcommands();
    std::string text = app_.help();
    if (parsed.empty()) return text;
    // The parser's own usage line knows nothing of payloads.
    const size_t begin = text.find("Usage:");
    const size_t end = text.find('\n', begin);
    if (begin == std::string::npos || end == std::string::npos) return text;
    std::string usage;
    for (const std::string& form : usage_of(*parsed.front()))
      usage += (usage.empty() ? "Usage: adyton " : "       adyton ") + form + "\n";
    if (parsed.front() == run_ || parsed.front() == create_) usage += "\n" + kRunText;
    return text.replace(begin, end + 1 - begin, usage);
  }

  Result<Command> chosen() {
    for (const auto& [command, verb] : verbs_) {
      if (!command->parsed()) continue;
      verb_options_.verb = verb;
      if (verb_options_.attach && verb_options_.names.size() > 1) return bad("--attach is for one virtual machine at a time");
      if (stop_seconds_) {
        if (!(*stop_seconds_ >= 0 && *stop_seconds_ <= 1e6)) return bad("--time is not from 0 to 1000000 seconds");
        verb_options_.patience = std::chrono::ceil<std::chrono::milliseconds>(std::chrono::duration<double>(*stop_seconds_));
      }
      if (signal_) verb_options_.signal = TRY(parse_signal(*signal_));
      return verb_options_;
    }
    if (create_->parsed()) return CreateOptions{.run = TRY(create_flags_.finish())};
    if (exec_->parsed()) return exec_command();
    if (copy_->parsed()) return copy_command();
    if (console_->parsed()) return console_options_;
    if (logs_->parsed()) return logs_options_;
    if (list_->parsed()) return list_options_;
    if (info_->parsed()) return info_options_;
    if (debug_->parsed()) return debug_options_;
    if (balloon_->parsed()) {
      if (!balloon_size_.empty()) balloon_options_.bytes = TRY(sdk::parse_size(balloon_size_));
      return balloon_options_;
    }
    if (dump_->parsed()) return dump_options_;
    if (crash_report_->parsed()) return crash_report_options_;
    if (top_->parsed()) {
      if (!(top_seconds_ >= 0.1 && top_seconds_ <= 3600)) return bad("--interval is not from 0.1 to 3600 seconds");
      top_options_.interval = std::chrono::milliseconds(static_cast<int64_t>(top_seconds_ * 1000));
      for (const auto& [name, view] : kTopViews) {
        if (top_view_ == name) top_options_.view = view;
      }
      return top_options_;
    }
    if (capture_->parsed()) return capture_command();
    if (trace_->parsed()) return trace_command();
    if (doctor_->parsed()) return doctor_options_;
    if (prepare_->parsed()) return prepare_options_;
    if (prune_->parsed()) {
      prune_options_.unused = std::chrono::days(prune_days_);
      return prune_options_;
    }
    if (aidl_->parsed()) return aidl_options_;
    if (completion_->parsed()) return PrintText{completion_script(app_, shell_)};
    if (manual_->parsed()) return manual_options_;
    return TRY(run_flags_.finish());
  }

  Result<Command> exec_command() {
    if (exec_options_.command.empty()) return bad("nothing to run: adyton exec NAME -- PROGRAM [ARGS...]");
    if (exec_tty_ && exec_no_tty_) return bad("--tty and --no-tty exclude each other");
    if (exec_tty_ || exec_no_tty_) exec_options_.tty = exec_tty_;
    exec_options_.env = TRY(expand_env(exec_env_));
    return exec_options_;
  }

  Result<Command> capture_command() {
    CaptureOptions& options = capture_options_;
    if (options.snaplen == 0) return bad("--snaplen 0 would keep nothing");
    options.snaplen = std::min(options.snaplen, CaptureOptions().snaplen);
    if (options.count == 0) return bad("--count 0 would capture nothing");
    if (options.ports.size() > 64) return bad("a capture has at most 64 ports");
    if (capture_buffer_ < 64 || capture_buffer_ > 65536) return bad("--buffer-size is not from 64 to 65536 KiB");
    options.buffer = uint64_t{capture_buffer_} << 10;
    if (!options.file) {
      if (capture_format_) return bad("--format is for capture files: say -w FILE");
      return options;
    }
    options.format = capture_format_ ? *capture_format_ == "pcap" ? CaptureFormat::kPcap : CaptureFormat::kPcapng
                                     : capture_format(*options.file);
    const bool pcap = options.format == CaptureFormat::kPcap;
    if (pcap && options.names.size() > 1)
      return bad("a pcap file cannot tell virtual machines apart: use --format pcapng for several");
    if (options.verbose || options.dump) return bad("--verbose and --dump are for text, without -w");
    return options;
  }

  Result<Command> trace_command() {
    TraceOptions& options = trace_options_;
    options.format = trace_format_ == "chrome-json" ? TraceFormat::kChromeJson
                     : trace_format_ == "text"      ? TraceFormat::kText
                     : trace_format_                ? TraceFormat::kPerfetto
                                                    : trace_format(options.file);
    if (trace_seconds_) {
      if (!(*trace_seconds_ >= 0.001 && *trace_seconds_ <= 1e6)) return bad("--duration is not from 0.001 to 1000000 seconds");
      options.duration = std::chrono::milliseconds(static_cast<int64_t>(*trace_seconds_ * 1000));
    }
    if (trace_buffer_ < 4 || trace_buffer_ > 65536 || !std::has_single_bit(trace_buffer_))
      return bad("--buffer-size is not a power of two from 4 to 65536 KiB");
    options.buffer = uint64_t{trace_buffer_} << 10;
    choose_trace_categories(options, trace_categories_);
    return options;
  }

  Result<Command> copy_command() {
    CopyOptions copy{.from = parse_copy_end(copy_from_), .to = parse_copy_end(copy_to_), .follow_link = copy_follow_link_};
    if (copy.from.vm.has_value() == copy.to.vm.has_value()) {
      return bad("one end of a copy is in a virtual machine (NAME:PATH), the other on the host");
    }
    return copy;
  }

  CLI::App app_{"Runs programs and systems in virtual machines, also without KVM.", "adyton"};
  RunFlags run_flags_;
  RunFlags create_flags_;
  VerbOptions verb_options_;
  std::optional<std::string> signal_;
  std::optional<double> stop_seconds_;
  ListOptions list_options_;
  InfoOptions info_options_;
  ExecOptions exec_options_;
  std::vector<std::string> exec_env_;
  bool exec_tty_ = false;
  bool exec_no_tty_ = false;
  std::string copy_from_;
  std::string copy_to_;
  bool copy_follow_link_ = false;
  ConsoleOptions console_options_;
  LogsOptions logs_options_;
  CrashReportOptions crash_report_options_;
  DumpOptions dump_options_;
  DebugOptions debug_options_{.name = {}, .address = ":0"};
  BalloonOptions balloon_options_;
  std::string balloon_size_;
  TopOptions top_options_;
  double top_seconds_ = 1;
  std::string top_view_;
  CaptureOptions capture_options_;
  std::optional<std::string> capture_format_;
  uint32_t capture_buffer_ = 8192;
  TraceOptions trace_options_;
  std::optional<std::string> trace_format_;
  std::optional<double> trace_seconds_;
  std::vector<std::string> trace_categories_;
  uint32_t trace_buffer_ = 1024;
  AidlOptions aidl_options_;
  DoctorOptions doctor_options_;
  PrepareOptions prepare_options_;
  PruneOptions prune_options_;
  int prune_days_ = 0;
  ManualOptions manual_options_;
  std::string shell_;

  CLI::App* run_ = nullptr;
  CLI::App* create_ = nullptr;
  std::vector<std::pair<CLI::App*, VmVerb>> verbs_;
  CLI::App* exec_ = nullptr;
  CLI::App* copy_ = nullptr;
  CLI::App* console_ = nullptr;
  CLI::App* logs_ = nullptr;
  CLI::App* list_ = nullptr;
  CLI::App* info_ = nullptr;
  CLI::App* debug_ = nullptr;
  CLI::App* balloon_ = nullptr;
  CLI::App* crash_report_ = nullptr;
  CLI::App* dump_ = nullptr;
  CLI::App* top_ = nullptr;
  CLI::App* capture_ = nullptr;
  CLI::App* trace_ = nullptr;
  CLI::App* doctor_ = nullptr;
  CLI::App* prepare_ = nullptr;
  CLI::App* prune_ = nullptr;
  CLI::App* aidl_ = nullptr;
  CLI::App* completion_ = nullptr;
  CLI::App* manual_ = nullptr;
};

}  // namespace

Result<Command> parse_command_line(const std::vector<std::string>& arguments) {
  return CommandLine().parse({arguments.begin() + (arguments.empty() ? 0 : 1), arguments.end()});
}

void describe_command_line(const std::function<void(const CLI::App&)>& use) {
  CommandLine commands;
  use(commands.app());
}

}  // namespace adyton::cli

#include "cli/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "observe/trace_record.h"

namespace adyton::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Result<RunOptions> run_options(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {"adyton", "run"});
  auto command = TRY(parse_command_line(arguments));
  if (auto* run = std::get_if<RunOptions>(&command)) return std::move(*run);
  return fail(ErrorCode::kInternal, "not a run command");
}

std::string run_error(std::vector<std::string> arguments) {
  auto run = run_options(std::move(arguments));
  return run ? "" : run.error().message;
}

std::string mistake(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "adyton");
  auto command = parse_command_line(arguments);
  return command ? "" : command.error().message;
}

TEST(Options, PayloadAndItsArguments) {
  auto run = run_options({"./hello", "arg1", "--smp", "7", "-t", "--", "x"});
  ASSERT_TRUE(run) << run.error().message;
  EXPECT_THAT(run->command, ElementsAre("./hello", "arg1", "--smp", "7", "-t", "--", "x"));
  EXPECT_EQ(run->cpus, 1u);
  EXPECT_EQ(run->memory, 512ull << 20);
  EXPECT_FALSE(run->tty);
}

TEST(Options, EverythingAtOnce) {
  ::setenv("ADYTON_TEST_PASSED", "on", 1);
  ::unsetenv("ADYTON_TEST_ABSENT");
  auto run = run_options({"--smp",
                          "4",
                          "--memory=1G",
                          "--env",
                          "K=V=W",
                          "-e",
                          "ADYTON_TEST_PASSED",
                          "-e",
                          "ADYTON_TEST_ABSENT",
                          "--workdir",
                          "/data",
                          "--mount",
                          "./dir:/data",
                          "--mount",
                          "a:b:/c:ro",
                          "--rootfs",
                          "root",
                          "--disk",
                          "a.img",
                          "--disk",
                          "b.img,ro",
                          "--console-log",
                          "log",
                          "--timeout",
                          "1.5",
                          "--quiet",
                          "--tty",
                          "--",
                          "/usr/bin/python3",
                          "-c",
                          "print(6*7)"});
  ASSERT_TRUE(run) << run.error().message;
  EXPECT_EQ(run->cpus, 4u);
  EXPECT_EQ(run->memory, 1ull << 30);
  EXPECT_THAT(run->env, ElementsAre("K=V=W", "ADYTON_TEST_PASSED=on"));
  EXPECT_EQ(run->workdir, "/data");
  EXPECT_THAT(run->mounts, ElementsAre(MountOption{"./dir", "/data", false}, MountOption{"a:b", "/c", true}));
  EXPECT_EQ(run->rootfs, "root");
  EXPECT_THAT(run->disks, ElementsAre(DiskOption{"a.img", false}, DiskOption{"b.img", true}));
  EXPECT_EQ(run->console_log, "log");
  EXPECT_EQ(run->timeout, std::chrono::milliseconds(1500));
  EXPECT_TRUE(run->quiet);
  EXPECT_EQ(run->tty, true);
  EXPECT_THAT(run->command, ElementsAre("/usr/bin/python3", "-c", "print(6*7)"));
}

TEST(Options, RawVm) {
  auto run =
      run_options({"--kernel", "Image", "--initrd", "i.cpio", "--append", "console=ttyAMA0 root=/dev/vda", "--disk", "disk.img"});
  ASSERT_TRUE(run) << run.error().message;
  EXPECT_TRUE(run->raw());
  EXPECT_EQ(run->append, "console=ttyAMA0 root=/dev/vda");
  EXPECT_THAT(run->command, IsEmpty());
  EXPECT_TRUE(run_options({"--firmware", "u-boot.bin"})->raw());
}

TEST(Options, DirectoryTreeAlone) {
  auto run = run_options({"--rootfs", "root"});
  ASSERT_TRUE(run);
  EXPECT_THAT(run->command, IsEmpty());
}

TEST(Options, MistakesGetOneLine) {
  EXPECT_THAT(run_error({}), HasSubstr("nothing to run"));
  EXPECT_THAT(run_error({"--frobnicate", "./hello"}), HasSubstr("--frobnicate"));
  EXPECT_THAT(run_error({"--memory", "lots", "./hello"}), HasSubstr("'lots' is not a size"));
  EXPECT_THAT(run_error({"--smp", "many", "./hello"}), HasSubstr("--smp"));
  EXPECT_THAT(run_error({"--smp", "-1", "./hello"}), HasSubstr("--smp"));
  EXPECT_THAT(run_error({"--env", "=V", "./hello"}), HasSubstr("has no name"));
  EXPECT_THAT(run_error({"--mount", "here", "./hello"}), HasSubstr("SOURCE:TARGET"));
  EXPECT_THAT(run_error({"--mount", "here:there", "./hello"}), HasSubstr("absolute"));
  EXPECT_THAT(run_error({"--workdir", "data", "./hello"}), HasSubstr("absolute"));
  EXPECT_THAT(run_error({"--timeout", "-3", "./hello"}), HasSubstr("timeout"));
  EXPECT_THAT(run_error({"--kernel", "a", "--firmware", "b"}), HasSubstr("exclude"));
  EXPECT_THAT(run_error({"--initrd", "a", "./hello"}), HasSubstr("--kernel"));
  EXPECT_THAT(run_error({"--kernel", "a", "./hello"}), HasSubstr("takes no payload"));
  EXPECT_THAT(run_error({"--kernel", "a", "--rootfs", "b"}), HasSubstr("for payloads"));
  EXPECT_THAT(run_error({"-t", "-T", "./hello"}), HasSubstr("exclude"));
  for (const auto& arguments :
       {std::vector<std::string>{"adyton"}, {"adyton", "fly"}, {"adyton", "--wings"}, {"adyton", "doctor", "who"}}) {
    auto command = parse_command_line(arguments);
    ASSERT_FALSE(command);
    EXPECT_THAT(command.error().message, Not(HasSubstr("\n")));
    EXPECT_FALSE(command.error().message.empty());
  }
}

TEST(Options, HelpAndVersionSayTheIsolationLevel) {
  for (const auto& arguments :
       {std::vector<std::string>{"adyton", "--help"}, {"adyton", "run", "--help"}, {"adyton", "--version"}}) {
    auto command = parse_command_line(arguments);
    ASSERT_TRUE(command);
    ASSERT_TRUE(std::holds_alternative<PrintText>(*command));
    EXPECT_THAT(std::get<PrintText>(*command).text, HasSubstr("none"));
  }
}

TEST(Options, PrepareAndConsole) {
  auto command = parse_command_line({"adyton", "prepare", "-q"});
  ASSERT_TRUE(command);
  ASSERT_TRUE(std::holds_alternative<PrepareOptions>(*command));
  EXPECT_TRUE(std::get<PrepareOptions>(*command).quiet);
  EXPECT_TRUE(run_options({"--kernel", "Image", "--console", "virtio"})->virtio_console);
  EXPECT_THAT(run_error({"--kernel", "Image", "--console", "carrier-pigeon"}), HasSubstr("--console"));
  EXPECT_THAT(run_error({"--console", "virtio", "./hello"}), HasSubstr("--kernel"));
}

TEST(Options, TheWatchdog) {
  EXPECT_EQ(run_options({"./hello"})->watchdog.count(), 0);
  EXPECT_EQ(run_options({"--watchdog", "30", "./hello"})->watchdog, std::chrono::seconds(30));
  EXPECT_EQ(run_options({"--watchdog", "86400", "--kernel", "Image"})->watchdog, std::chrono::hours(24));
  for (const char* const wrong : {"0", "-1", "86401", "soon"})
    EXPECT_THAT(run_error({"--watchdog", wrong, "./hello"}), HasSubstr("--watchdog")) << wrong;
}

TEST(Options, TheKernelsSuite) {
  EXPECT_EQ(run_options({"./hello"})->kernel_suite, "");
  EXPECT_EQ(run_options({"--kernel-suite", "trixie-backports", "./hello"})->kernel_suite, "trixie-backports");
  EXPECT_THAT(run_error({"--kernel-suite", "sid", "--kernel", "Image"}), HasSubstr("--kernel-suite chooses our kernel"));
  const auto command = parse_command_line({"adyton", "prepare", "--kernel-suite=sid"});
  ASSERT_TRUE(command);
  EXPECT_EQ(std::get<PrepareOptions>(*command).kernel_suite, "sid");
}

TEST(Options, WhatToPrune) {
  const auto command = parse_command_line({"adyton", "prune"});
  ASSERT_TRUE(command);
  EXPECT_FALSE(std::get<PruneOptions>(*command).force);
  EXPECT_EQ(std::get<PruneOptions>(*command).unused.count(), 0);
  const auto more = parse_command_line({"adyton", "prune", "-f", "--unused-for", "7"});
  ASSERT_TRUE(more);
  EXPECT_TRUE(std::get<PruneOptions>(*more).force);
  EXPECT_EQ(std::get<PruneOptions>(*more).unused, std::chrono::days(7));
  EXPECT_FALSE(parse_command_line({"adyton", "prune", "--unused-for=-1"}));
  EXPECT_FALSE(parse_command_line({"adyton", "prune", "vm"}));
}

template <typename T>
T parsed(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "adyton");
  auto command = parse_command_line(arguments);
  EXPECT_TRUE(command) << command.error().message;
  if (!command || !std::holds_alternative<T>(*command)) {
    ADD_FAILURE() << "another command";
    return {};
  }
  return std::get<T>(*command);
}

TEST(Options, VirtualMachinesByName) {
  const auto create = parsed<CreateOptions>({"create", "worker", "--smp", "2", "./hello", "--smp", "3"});
  EXPECT_EQ(create.run.name, "worker");
  EXPECT_EQ(create.run.cpus, 2u);
  EXPECT_THAT(create.run.command, ElementsAre("./hello", "--smp", "3"));
  EXPECT_EQ(parsed<VerbOptions>({"start", "a", "b"}).verb, VmVerb::kStart);
  EXPECT_EQ(parsed<VerbOptions>({"suspend", "a", "b"}).verb, VmVerb::kSuspend);
  EXPECT_EQ(parsed<VerbOptions>({"resume", "a"}).verb, VmVerb::kResume);
  EXPECT_THAT(parsed<VerbOptions>({"stop", "a", "b"}).names, ElementsAre("a", "b"));
  EXPECT_EQ(parsed<VerbOptions>({"stop", "a"}).patience, std::nullopt);
  EXPECT_EQ(parsed<VerbOptions>({"stop", "-t", "0", "a"}).patience, std::chrono::milliseconds(0));
  EXPECT_EQ(parsed<VerbOptions>({"stop", "--time=2.5", "a"}).patience, std::chrono::milliseconds(2500));
  for (const std::string time : {"-1", "1e7", "nan"})
    EXPECT_THAT(mistake({"stop", "--time=" + time, "a"}), HasSubstr("--time is not from 0"));
  EXPECT_TRUE(parsed<VerbOptions>({"start", "-a", "a"}).attach);
  EXPECT_FALSE(parsed<VerbOptions>({"start", "a"}).attach);
  EXPECT_THAT(mistake({"start", "--attach", "a", "b"}), HasSubstr("--attach is for one"));
  EXPECT_TRUE(parsed<CreateOptions>({"create", "-t", "worker", "./hello"}).run.tty);
  EXPECT_EQ(parsed<VerbOptions>({"kill", "-s", "term", "a"}).signal, 15);
  EXPECT_TRUE(parsed<VerbOptions>({"delete", "--force", "a"}).force);
  EXPECT_TRUE(parsed<ListOptions>({"ls", "--json"}).json);
  EXPECT_FALSE(parsed<InfoOptions>({"info"}).name);
  EXPECT_EQ(parsed<InfoOptions>({"info", "a"}).name, "a");
  EXPECT_TRUE(parsed<LogsOptions>({"logs", "-f", "a"}).follow);
  EXPECT_EQ(parsed<ConsoleOptions>({"console", "a"}).name, "a");
  EXPECT_EQ(parsed<TopOptions>({"top", "-i", "0.5"}).interval, std::chrono::milliseconds(500));
  EXPECT_EQ(parsed<TopOptions>({"top"}).view, std::nullopt);
  EXPECT_EQ(parsed<TopOptions>({"top", "--view", "rpc"}).view, TopView::kRpc);
  EXPECT_EQ(parsed<TopOptions>({"top", "one"}).name, "one");
  const auto run = run_options({"-d", "--rm", "--name", "x", "./hello"});
  ASSERT_TRUE(run);
  EXPECT_TRUE(run->detach && run->remove);
  EXPECT_EQ(run->name, "x");
  EXPECT_THAT(run_error({"-d", "--timeout", "3", "./hello"}), HasSubstr("--detach"));
}

TEST(Options, ExecAndItsCommand) {
  for (const auto& arguments : {std::vector<std::string>{"exec", "-e", "A=1", "worker", "--", "sh", "-c", "exit 3"},
                                {"exec", "worker", "-e", "A=1", "sh", "-c", "exit 3"}}) {
    const auto exec = parsed<ExecOptions>(arguments);
    EXPECT_EQ(exec.name, "worker");
    EXPECT_THAT(exec.env, ElementsAre("A=1"));
    EXPECT_THAT(exec.command, ElementsAre("sh", "-c", "exit 3"));
  }
  EXPECT_FALSE(parse_command_line({"adyton", "exec", "worker"}));
  EXPECT_THAT(parsed<AidlOptions>({"aidl", "--help", "--lang=cpp"}).arguments, ElementsAre("--help", "--lang=cpp"));
}

TEST(Options, CopiesHaveOneEndInAVm) {
  EXPECT_EQ(parsed<BalloonOptions>({"balloon", "worker", "256M"}).bytes, uint64_t{256} << 20);
  EXPECT_FALSE(parsed<BalloonOptions>({"balloon", "worker"}).bytes);
  EXPECT_FALSE(parse_command_line({"adyton", "balloon", "worker", "much"}));
  const auto copy = parsed<CopyOptions>({"cp", "worker:/etc/os-release", "./a:b"});
  EXPECT_EQ(copy.from, (CopyEnd{.vm = "worker", .path = "/etc/os-release"}));
  EXPECT_EQ(copy.to, (CopyEnd{.vm = std::nullopt, .path = "./a:b"}));
  EXPECT_FALSE(parse_command_line({"adyton", "cp", "a", "b"}));
  EXPECT_FALSE(parse_command_line({"adyton", "cp", "x:a", "y:b"}));
}

TEST(Options, SignalsHaveNamesAndNumbers) {
  EXPECT_EQ(*parse_signal("9"), 9);
  EXPECT_EQ(*parse_signal("SIGKILL"), 9);
  EXPECT_EQ(*parse_signal("hup"), 1);
  for (const char* wrong : {"", "0", "65", "-1", "SIG", "WHATEVER", "9x"}) EXPECT_FALSE(parse_signal(wrong)) << wrong;
}

TEST(Options, Traces) {
  const auto parse = [](std::vector<std::string> arguments) -> Result<TraceOptions> {
    arguments.insert(arguments.begin(), {"adyton", "trace"});
    auto command = TRY(parse_command_line(arguments));
    return std::get<TraceOptions>(std::move(command));
  };
  const auto all = parse({"one", "-o", "x.perfetto-trace"});
  ASSERT_TRUE(all) << all.error().message;
  EXPECT_EQ(all->name, "one");
  EXPECT_EQ(all->format, TraceFormat::kPerfetto);
  EXPECT_EQ(all->categories, 31u);
  EXPECT_TRUE(all->calls && all->memory && all->boot);
  EXPECT_FALSE(all->duration);
  const auto some = parse({"one", "-o", "x.json", "-c", "virtio,boot", "-c", "vsock", "-d", "0.25"});
  ASSERT_TRUE(some) << some.error().message;
  EXPECT_EQ(some->format, TraceFormat::kChromeJson);
  EXPECT_EQ(some->categories, 24u);
  EXPECT_TRUE(some->boot);
  EXPECT_FALSE(some->calls || some->memory);
  EXPECT_EQ(some->duration, std::chrono::milliseconds(250));
  EXPECT_EQ(parse({"one", "-o", "x.json", "--format", "perfetto"})->format, TraceFormat::kPerfetto);
  EXPECT_EQ(parse({"one", "-o", "-", "--format", "text"})->format, TraceFormat::kText);
  EXPECT_EQ(parse({"one", "-o", "x.txt"})->format, TraceFormat::kText);
  EXPECT_FALSE(parse({"one"}));
  EXPECT_FALSE(parse({"one", "-o", "x", "-c", "secrets"}));
  EXPECT_THAT(parse({"one", "-o", "x", "-d", "0"}).error().message, HasSubstr("--duration"));
  EXPECT_THAT(parse({"one", "-o", "x", "-B", "1000"}).error().message, HasSubstr("power of two"));
}

TEST(Options, ARunMayBeRecorded) {
  const auto parse = [](std::vector<std::string> arguments) -> Result<RunOptions> {
    arguments.insert(arguments.begin(), {"adyton", "run"});
    auto command = TRY(parse_command_line(arguments));
    return std::get<RunOptions>(std::move(command));
  };
  const auto both = parse({"--capture", "x.pcapng", "--trace", "x.json", "--trace-categories", "vsock,calls", "program"});
  ASSERT_TRUE(both) << both.error().message;
  EXPECT_EQ(both->capture, "x.pcapng");
  EXPECT_EQ(both->trace, "x.json");
  EXPECT_EQ(both->trace_categories, (std::vector<std::string>{"vsock", "calls"}));
  EXPECT_TRUE(parse({"--no-service", "--capture", "x", "program"}));
  EXPECT_FALSE(parse({"--capture", "-", "program"}));
  EXPECT_FALSE(parse({"--capture", "x", "--trace", "x", "program"}));
  EXPECT_FALSE(parse({"--trace-categories", "vsock", "program"}));
  EXPECT_FALSE(parse({"--trace", "x", "--trace-categories", "nonsense", "program"}));
  EXPECT_FALSE(parse({"--detach", "--capture", "x", "program"}));
  TraceOptions options;
  choose_trace_categories(options, {"vsock", "calls"});
  EXPECT_EQ(options.categories, static_cast<uint32_t>(observe::TraceCategory::kVsock));
  EXPECT_TRUE(options.packets);
  EXPECT_FALSE(options.calls || options.memory || options.boot);
}

TEST(Options, CapturesHaveTheFormatOfTheirNames) {
  const auto parse = [](std::vector<std::string> arguments) -> Result<CaptureOptions> {
    arguments.insert(arguments.begin(), {"adyton", "capture"});
    auto command = TRY(parse_command_line(arguments));
    return std::get<CaptureOptions>(std::move(command));
  };
  EXPECT_EQ(parse({"one"})->format, CaptureFormat::kText);
  EXPECT_EQ(parse({"one", "-w", "x.pcapng"})->format, CaptureFormat::kPcapng);
  EXPECT_EQ(parse({"one", "-w", "x"})->format, CaptureFormat::kPcapng);
  EXPECT_EQ(parse({"one", "-w", "-"})->format, CaptureFormat::kPcapng);
  EXPECT_EQ(parse({"one", "-w", "x.pcap"})->format, CaptureFormat::kPcap);
  EXPECT_EQ(parse({"one", "-w", "x.pcap", "--format", "pcapng"})->format, CaptureFormat::kPcapng);
  EXPECT_EQ(parse({"one", "-w", "x", "--format", "pcap"})->format, CaptureFormat::kPcap);
  EXPECT_THAT(parse({"one", "two", "-w", "x.pcap"}).error().message, HasSubstr("--format pcapng"));
  EXPECT_EQ(parse({"one", "two", "-w", "x.pcap", "--format", "pcapng"})->format, CaptureFormat::kPcapng);
}

TEST(Options, TimelinesArePayloads) {
  EXPECT_TRUE(run_options({"--timeline", "./hello"})->timeline);
  EXPECT_THAT(run_error({"--timeline", "--kernel", "Image"}), HasSubstr("--timeline"));
  EXPECT_THAT(run_error({"--timeline", "--detach", "./hello"}), HasSubstr("--timeline"));
}

TEST(Options, Doctor) {
  auto command = parse_command_line({"adyton", "doctor"});
  ASSERT_TRUE(command);
  EXPECT_TRUE(std::holds_alternative<DoctorOptions>(*command));
}

}  // namespace
}  // namespace adyton::cli

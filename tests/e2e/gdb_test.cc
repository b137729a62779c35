// gdb-multiarch on a stock kernel, on a payload, and on bare instructions side by side with QEMU's gdb server.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cstdio>
#include <map>
#include <sstream>

#include "tests/e2e/adyton.h"

namespace adyton::e2e {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

const std::string kDebuggee = ADYTON_DEBUGGEE;

// What gdb prints when it obeys these lines, errors among it.
std::string gdb(const TemporaryFolder& folder, const std::string& script) {
  const std::string file = folder.write("script.gdb", "set confirm off\nset pagination off\nset width 0\n" + script);
  const std::string command = "timeout 60 gdb-multiarch -nx -batch -x " + file + " 2>&1 < /dev/null";
  FILE* pipe = ::popen(command.c_str(), "r");
  std::string output;
  char buffer[4096];
  while (size_t got = std::fread(buffer, 1, sizeof buffer, pipe)) output.append(buffer, got);
  ::pclose(pipe);
  return output;
}

// The lines of a process's output that say NAME=VALUE.
std::map<std::string, std::string> values(const std::string& text) {
  std::map<std::string, std::string> result;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (const size_t at = line.find('='); at != std::string::npos) result[line.substr(0, at)] = line.substr(at + 1);
  }
  return result;
}

TEST(Gdb, DebugsAPayloadFromItsMainToItsEnd) {
  TemporaryFolder folder;
  const std::string socket = folder.path() + "/gdb";
  // With one vCPU: to gdb a vCPU is a thread, and `finish` waits for the thread that it began with. The guest's kernel may move a
  // program.
  Adyton adyton({"run", "--smp", "1", "--gdb", "unix:" + socket, "--gdb-wait", kDebuggee});
  ASSERT_TRUE(Adyton::shell("until [ -S \"$1\" ]; do :; done", {socket}).finish() == 0);
  const std::string out =
      gdb(folder, "file " + kDebuggee + "\ntarget remote " + socket +
                      "\nhbreak main\ncontinue\ninfo args\nbacktrace\ndelete\n"
                      "break add\ncontinue\np left + right\nbacktrace\nfinish\ndelete\n"
                      "break scale\ncontinue\np $v0.d.f[0]\np $d1.f\np $fpsr\nstepi\nfinish\ndelete\ncontinue\n");
  EXPECT_THAT(out, HasSubstr("Breakpoint 1, main (argc=1, argv="));
  EXPECT_THAT(out, HasSubstr("argc = 1"));
  EXPECT_THAT(out, HasSubstr("Breakpoint 2, add (left=left@entry=1, right=right@entry=40)"));
  EXPECT_THAT(out, HasSubstr("$1 = 41"));
  EXPECT_THAT(out, ContainsRegex("#1 .*in main "));
  EXPECT_THAT(out, HasSubstr("Value returned is $2 = 41"));
  EXPECT_THAT(out, ContainsRegex("Breakpoint 3, .*scale"));
  EXPECT_THAT(out, HasSubstr("$3 = 41"));
  EXPECT_THAT(out, HasSubstr("$4 = 0.5"));
  EXPECT_THAT(out, HasSubstr("Value returned is $6 = 20.5"));
  EXPECT_THAT(out, HasSubstr("[Inferior 1 (Remote target) exited normally]"));
  EXPECT_EQ(adyton.finish(), 41) << adyton.errors();
}

TEST(Gdb, DebugsAStockKernelAndLetsItGoOn) {
  TemporaryFolder folder;
  const std::string socket = folder.path() + "/gdb";
  Adyton adyton({"run", "--no-service", "--smp", "4", "--gdb", "unix:" + socket, kDebuggee, "symbols", "proc_dointvec",
                 "do_sys_openat2", "vectors"});
  ASSERT_TRUE(adyton.wait_for("ready")) << adyton.errors();
  auto symbol = values(adyton.output());
  ASSERT_TRUE(symbol.contains("proc_dointvec") && symbol.contains("do_sys_openat2")) << adyton.output();
  const std::string out =
      gdb(folder, "target remote " + socket +
                      "\ninfo threads\n"
                      "hbreak *" +
                      symbol["do_sys_openat2"] +
                      "\ncontinue\np/x $pc\nstepi\nstepi\np/x $pc\ndelete\n"
                      "break *" +
                      symbol["do_sys_openat2"] +
                      "\ncontinue\np/x $pc\nx/1i $pc\ndelete\n"
                      // Where the variable is, its ctl_table says: the list of symbols has no data.
                      "hbreak *" +
                      symbol["proc_dointvec"] +
                      "\ncontinue\ndelete\nset var $where = *(long *)($x0 + 8)\n"
                      "watch *(int *)$where\ncontinue\ndelete\n"
                      "p/x $VBAR_EL1\np/x $SCTLR_EL1 & 1\np $fpcr\np $v31\n"
                      // What is behind a virtual address is at the physical one that it is said to have.
                      "python memory = gdb.selected_inferior().read_memory\npython virtual = " +
                      symbol["do_sys_openat2"] +
                      "\npython physical = int(gdb.execute('monitor pa %#x' % virtual, to_string=True), 16)\n"
                      "python code = memory(virtual, 16).tobytes()\nmaintenance packet Qqemu.PhyMemMode:1\n"
                      "python print('the same' if memory(physical, 16).tobytes() == code != bytes(16) else 'another')\n"
                      "x/1wx 0x40000000\nmaintenance packet Qqemu.PhyMemMode:0\n"
                      "thread 3\np/x $sp\np/x $pc\nthread 1\n"
                      // The payload's; it goes on with what it had.
                      "set var $old = $TPIDR_EL0\nset var $TPIDR_EL0 = 0x5a5a123456789abc\nmaintenance flush register-cache\n"
                      "p/x $TPIDR_EL0\nset var $TPIDR_EL0 = $old\nmaintenance flush register-cache\np $TPIDR_EL0 == $old\n"
                      "detach\n");
  for (const char* thread : {"vCPU 0 [on]", "vCPU 1 [on]", "vCPU 2 [on]", "vCPU 3 [on]"}) EXPECT_THAT(out, HasSubstr(thread));
  EXPECT_THAT(out, HasSubstr("hit Breakpoint 1,"));
  EXPECT_THAT(out, HasSubstr("$1 = " + symbol["do_sys_openat2"]));
  EXPECT_THAT(out, Not(HasSubstr("$2 = " + symbol["do_sys_openat2"])));
  EXPECT_THAT(out, HasSubstr("hit Breakpoint 2,"));
  EXPECT_THAT(out, HasSubstr("$3 = " + symbol["do_sys_openat2"]));
  EXPECT_THAT(out, Not(HasSubstr("brk")));
  EXPECT_THAT(out, ContainsRegex("Old value = [78]\nNew value = [78]\n"));
  EXPECT_THAT(out, HasSubstr("$4 = " + symbol["vectors"]));
  EXPECT_THAT(out, HasSubstr("$5 = 0x1"));
  EXPECT_THAT(out, ContainsRegex("\\$6 = [0-9]+\n")) << "fpcr";
  EXPECT_THAT(out, ContainsRegex("\\$7 = \\{d = \\{f = \\{.*\\}, u = \\{.*\\}, s = \\{")) << "v31";
  EXPECT_THAT(out, HasSubstr("\nthe same\n"));
  EXPECT_THAT(out, ContainsRegex("\n0x40000000:\t0x[0-9a-f]+\n")) << "memory by physical address";
  EXPECT_THAT(out, HasSubstr("[Switching to thread 3 (Thread 3)]"));
  EXPECT_THAT(out, ContainsRegex("\\$8 = 0x[0-9a-f]{5,}\n\\$9 = 0x[0-9a-f]{5,}\n")) << "its stack and code";
  EXPECT_THAT(out, HasSubstr("$10 = 0x5a5a123456789abc\n$11 = 1\n"));
  EXPECT_THAT(out, HasSubstr("[Inferior 1 (Remote target) detached]"));
  adyton.write("q");
  EXPECT_EQ(adyton.finish(), 3) << adyton.errors() << out;
}

// A port of this machine that nobody has now.
uint16_t free_port() {
  const UniqueFd probe(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{.sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_zero = {}};
  EXPECT_EQ(::bind(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  socklen_t size = sizeof(address);
  EXPECT_EQ(::getsockname(probe.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  return ntohs(address.sin_port);
}

TEST(Gdb, StopsAGuestThatRunsWithCtrlCOverTcp) {
  TemporaryFolder folder;
  const std::string port = std::to_string(free_port());
  Adyton adyton({"run", "--no-service", "--smp", "1", "--gdb", ":" + port, kDebuggee, "symbols", "none"});
  ASSERT_TRUE(adyton.wait_for("ready")) << adyton.errors();
  // What gdb tells of its packets says when the guest goes on, and Ctrl-C can stop it.
  const std::string script =
      folder.write("script.gdb", "set confirm off\nset pagination off\nset width 0\ntarget remote 127.0.0.1:" + port +
                                     "\nset debug remote 1\ncontinue\nset debug remote 0\n"
                                     "p/x $pc != 0\nstepi\ndetach\n");
  Adyton debugger = Adyton::shell("exec timeout --foreground 60 gdb-multiarch -nx -batch -x \"$1\" 2>&1 </dev/null", {script});
  ASSERT_TRUE(debugger.wait_for("Sending packet: $vCont;c")) << debugger.output();
  debugger.signal(SIGINT);
  EXPECT_EQ(debugger.finish(), 0);
  const std::string& out = debugger.output();
  EXPECT_THAT(out, HasSubstr("received signal SIGINT, Interrupt."));
  EXPECT_THAT(out, HasSubstr("$1 = 0x1\n"));
  EXPECT_THAT(out, HasSubstr("[Inferior 1 (Remote target) detached]"));
  adyton.write("q");
  EXPECT_EQ(adyton.finish(), 3) << adyton.errors() << out;
}

TEST(Gdb, AttachesOverTcpToAVmThatRuns) {
  const std::string port = std::to_string(free_port());
  Adyton shell = Adyton::shell(
      "\"$ADYTON\" run --detach --rm --name debugged \"$1\" wait >/dev/null || exit 8\n"
      "\"$ADYTON\" gdb debugged \":$2\" || exit 9\n"
      "gdb-multiarch -nx -batch -ex \"target remote 127.0.0.1:$2\" -ex 'info threads' -ex detach </dev/null || exit 10\n"
      "\"$ADYTON\" kill debugged\n",
      {kDebuggee, port});
  EXPECT_EQ(shell.finish(), 0) << shell.output() << shell.errors();
  EXPECT_THAT(shell.output(), HasSubstr("target remote"));
  EXPECT_THAT(shell.output(), HasSubstr(":" + port));
  EXPECT_THAT(shell.output(), HasSubstr("vCPU 0 [on]"));
}

TEST(Gdb, AttachesToAVmThatRunsMoreThanOnce) {
  TemporaryFolder folder;
  const std::string one = folder.write("one.gdb", "info threads\ndetach\n");
  const Finished done = [&] {
    Adyton shell = Adyton::shell(
        "set -e; \"$ADYTON\" run --detach --rm --name debugged \"$1\" wait > \"$2/name\"; cd \"$2\"\n"
        "for i in 1 2; do \"$ADYTON\" gdb debugged unix:\"$2/gdb$i\" > target; gdb-multiarch -nx -batch -x target -x one.gdb < "
        "/dev/null; done\n"
        "gdb-multiarch -nx -batch -ex \"target remote $2/gdb2\" -ex kill < /dev/null; \"$ADYTON\" wait debugged || echo over\n"
        "\"$ADYTON\" gdb debugged || echo refused; \"$ADYTON\" gdb debugged 192.0.2.1:1 || echo remote\n",
        {kDebuggee, folder.path()});
    Finished result;
    result.code = shell.finish();
    result.output = shell.output(), result.errors = shell.errors();
    return result;
  }();
  EXPECT_EQ(done.code, 0) << done.errors;
  size_t threads = 0;
  for (size_t at = 0; (at = done.output.find("vCPU 0 [on]", at)) != std::string::npos; ++at) ++threads;
  EXPECT_EQ(threads, 2u) << done.output << done.errors;
  EXPECT_THAT(done.output, HasSubstr("over\n"));
  EXPECT_THAT(done.output, HasSubstr("refused\nremote\n"));
  EXPECT_THAT(done.errors, HasSubstr("there is no virtual machine 'debugged'"));
  EXPECT_THAT(done.errors, HasSubstr("whoever connects owns the guest"));
}

// A connection to the stub without gdb.
class Client {
 public:
  explicit Client(const std::string& path) : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof(address.sun_path) - 1);
    EXPECT_EQ(::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  }
  void send(std::string_view bytes) { (void)!::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT); }
  // Until a packet has come.
  std::string receive() {
    std::string text;
    char byte = 0;
    while ((text.size() < 3 || text[text.size() - 3] != '#') && ::recv(fd_.get(), &byte, 1, 0) == 1) text += byte;
    return text;
  }

 private:
  UniqueFd fd_;
};

TEST(Gdb, ADebuggerThatDiesOrSleepsStallsNothing) {
  TemporaryFolder folder;
  const std::string socket = folder.path() + "/gdb";
  Adyton adyton({"run", "--no-service", "--gdb", "unix:" + socket, kDebuggee, "symbols", "none"});
  ASSERT_TRUE(adyton.wait_for("ready")) << adyton.errors();
  {
    Client dies(socket);
    dies.send("$?#3f");
    EXPECT_EQ(dies.receive(), "+$T05thread:1;#d7");
  }
  {
    Client dies_in_a_word(socket);
    dies_in_a_word.send("$?#3f$m0,");
    EXPECT_EQ(dies_in_a_word.receive(), "+$T05thread:1;#d7");
  }
  {
    Client does_not_read(socket);
    for (int i = 0; i < 10'000; ++i) does_not_read.send("$qXfer:features:read:target.xml:0,fff#7d");
  }
  Client sleeps(socket);
  sleeps.send("$c#63");
  adyton.write("q");
  EXPECT_EQ(adyton.finish(), 3) << adyton.errors();
}

TEST(Gdb, AVmThatADebuggerHoldsEndsWhenItIsToldTo) {
  TemporaryFolder folder;
  const std::string socket = folder.path() + "/gdb";
  Adyton adyton({"run", "--no-service", "--gdb", "unix:" + socket, kDebuggee, "symbols", "none"});
  ASSERT_TRUE(adyton.wait_for("ready")) << adyton.errors();
  Client holds(socket);
  holds.send("$?#3f");
  EXPECT_EQ(holds.receive(), "+$T05thread:1;#d7");
  while (!adyton.ended()) adyton.signal(SIGINT);  // the first one is the payload's, which stands still
  EXPECT_EQ(adyton.finish(), 128 + SIGINT) << adyton.errors();
}

// The oracle: the same program under QEMU, the same commands, the same words.
TEST(Gdb, SaysWhatQemuSays) {
  TemporaryFolder folder;
  const std::string ours = folder.path() + "/ours", theirs = folder.path() + "/theirs";
  const std::string image = kDebuggee + ".bin";
  // Flash of QEMU's board has a size of its own.
  Adyton qemu = Adyton::shell(
      "cp \"$1\" \"$2/flash\"; truncate -s 64M \"$2/flash\"; exec timeout 300 qemu-system-aarch64 -machine virt,gic-version=3 "
      "-cpu max -m 256 -nodefaults "
      "-display none -drive if=pflash,format=raw,readonly=on,file=\"$2/flash\" -S -gdb unix:\"$2/theirs\",server=on,wait=off",
      {image, folder.path()});
  Adyton adyton({"run", "--no-service", "--memory", "256M", "--firmware", image, "--gdb", "unix:" + ours, "--gdb-wait"});
  ASSERT_TRUE(Adyton::shell("until [ -S \"$1\" ] && [ -S \"$2\" ]; do :; done", {ours, theirs}).finish() == 0);
  const std::string registers = "info registers x0 x1 x2 x3 x4 x5 x6 x7 x8 x9 x30 pc\np/x $cpsr\n";
  // The boards differ in how they begin.
  std::string script = "set var $x0 = 0\nset var $cpsr = 0x3c5\n" + registers;
  for (int i = 0; i < 8; ++i) script += "stepi\nx/i $pc\n" + registers;
  script += "hbreak *0x1c\ncontinue\n" + registers + "delete\n";
  script +=
      "hbreak *0x2c\ncontinue\ndelete\nwatch *(long *)0x40100000\ncontinue\nx/4gx 0x40100000\ndelete\nrwatch *(int "
      "*)0x40100008\ncontinue\ndelete\n" +
      registers;
  script += "p/x $v0.q\np/x $v1.q\np/x $v2.q\np $v4.d.f[0]\nawatch *(long *)0x40100000\ncontinue\ndelete\n";
  script +=
      "set var $x6 = 0x1234\nset var $v5.d.u[1] = 77\np/x $v5.q\nset var *(int *)0x40100100 = 42\nx/2wx 0x40100100\nhbreak "
      "*0x5c\ncontinue\ndelete\n" +
      registers;
  script += "x/8gx 0x40100000\nstepi\nstepi\nstepi\n" + registers;
  const std::string qemus = gdb(folder, "set architecture aarch64\ntarget remote " + theirs + "\n" + script);
  const std::string mine = gdb(folder, "set architecture aarch64\ntarget remote " + ours + "\n" + script);
  const auto without = [](std::string text, const std::string& what, const std::string& with) {
    for (size_t at = 0; (at = text.find(what)) != std::string::npos;) text.replace(at, what.size(), with);
    return text;
  };
  EXPECT_THAT(qemus, HasSubstr("Value = 15"));
  // QEMU calls the machine a process.
  EXPECT_EQ(mine, without(qemus, "(process 1)", "(Remote target)"));
  adyton.signal(SIGTERM);
  adyton.finish();
  qemu.signal(SIGTERM);
  qemu.finish();
}

}  // namespace
}  // namespace adyton::e2e

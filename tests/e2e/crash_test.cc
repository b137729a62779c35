// Dumps and crash reports of real guests, read by programs that we did not write.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/e2e/adyton.h"

namespace adyton::e2e {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

const std::string kDebuggee = ADYTON_DEBUGGEE;

std::string between(const std::string& text, const std::string& from, const std::string& to) {
  const size_t begin = text.find(from);
  if (begin == std::string::npos) return "";
  const size_t end = text.find(to, begin);
  return text.substr(begin + from.size(), end == std::string::npos ? end : end - begin - from.size());
}

// The same words of gdb about the VM, which stands still for it, and about the core that is written meanwhile.
TEST(Dump, GdbReadsInTheCoreWhatItReadsInTheVm) {
  TemporaryFolder folder;
  const std::string script = folder.write("test.sh", R"sh(
set -e
cd "$2"
"$ADYTON" run --detach --rm --name dumped --smp 2 --memory 256M "$1" wait vectors > /dev/null
until "$ADYTON" logs dumped > log && grep -q ready log; do :; done
vectors=$(sed -n 's/^vectors=//p' log)
"$ADYTON" gdb dumped unix:"$2/gdb" > target
cat > look.gdb <<END
echo BEGIN\n
thread 1
info registers x0 x1 x2 x19 x20 x29 x30 sp pc
p/x \$cpsr
p/x \$v0.q
p/x \$v31.q
p/x \$fpsr
thread 2
info registers x0 x29 x30 sp pc
x/64wx $vectors
x/8i $vectors
echo END\n
END
cat > live.gdb <<END
source look.gdb
shell "$ADYTON" dump dumped -o core > written
detach
END
echo ONE; gdb-multiarch -nx -batch -x target -x live.gdb < /dev/null 2>&1
echo TWO; gdb-multiarch -nx -batch -ex 'core-file core' -x look.gdb < /dev/null 2>&1
echo THREE; cat written; "$ADYTON" dump dumped -o core 2>&1 || echo "code $?"
# A client that dies in the middle leaves the VM to itself, and to the next one.
(ulimit -f 1; "$ADYTON" dump dumped -o small) 2> /dev/null || echo "died"
until "$ADYTON" dump dumped -o again > /dev/null 2>&1; do :; done
stat -c 'mode %a size %s blocks %b' core
LC_ALL=C readelf -hlnW core 2>&1 | cut -c 1-120
"$ADYTON" dump nobody 2>&1 || ls nobody.core 2>&1 || true
"$ADYTON" kill dumped || "$ADYTON" stop dumped
)sh");
  Adyton shell = Adyton::shell(". \"$3\"", {kDebuggee, folder.path(), script});
  EXPECT_EQ(shell.finish(), 0) << shell.errors() << shell.output();
  const std::string live = between(between(shell.output(), "ONE\n", "TWO\n"), "BEGIN\n", "END\n");
  std::string core = between(between(shell.output(), "TWO\n", "THREE\n"), "BEGIN\n", "END\n");
  // How they call a thread is the one difference.
  const auto data = [](const std::string& text) {
    std::string lines;
    for (size_t at = 0; at < text.size();) {
      const size_t end = std::min(text.find('\n', at), text.size());
      const std::string line = text.substr(at, end - at);
      if (!line.empty() && line[0] != '[' && line[0] != '#') lines += line + "\n";
      at = end + 1;
    }
    return lines;
  };
  EXPECT_THAT(live, HasSubstr("x29 "));
  EXPECT_EQ(data(core), data(live));
  const std::string rest = between(shell.output(), "THREE\n", "no such end");
  EXPECT_THAT(rest, HasSubstr("File exists"));
  EXPECT_THAT(rest, HasSubstr("code 125"));
  EXPECT_THAT(rest, HasSubstr("died"));
  EXPECT_THAT(rest, HasSubstr("mode 600 size 268"));
  EXPECT_THAT(rest, HasSubstr("CORE (Core file)"));
  EXPECT_THAT(rest, HasSubstr("AArch64"));
  EXPECT_THAT(rest, ContainsRegex("LOAD +0x[0-9a-f]+ 0xffff[0-9a-f]+ 0x0000000040000000 0x10000000 0x10000000 RWE"));
  EXPECT_THAT(rest, ContainsRegex("VMCOREINFO +0x"));
  EXPECT_THAT(rest, HasSubstr("there is no virtual machine 'nobody'"));
  EXPECT_THAT(rest, Not(HasSubstr("\nnobody.core")));
}

TEST(CrashReport, AKernelPanicHasRegistersABacktraceAndTheLog) {
  TemporaryFolder folder;
  Adyton shell = Adyton::shell(
      R"sh("$ADYTON" run --name panics --smp 2 "$1" panic; echo "code $?"
"$ADYTON" crash-report panics; echo "code $?"
echo INFO; "$ADYTON" info panics; echo; "$ADYTON" info --json panics | tr -d '\n'; echo; "$ADYTON" crash-report; "$ADYTON" delete panics; "$ADYTON" crash-report panics 2>&1)sh",
      {kDebuggee});
  shell.finish();
  const std::string& out = shell.output();
  EXPECT_THAT(out, HasSubstr("VM:        panics\nCause:     the guest's kernel panicked: sysrq triggered crash\n"))
      << shell.errors();
  EXPECT_THAT(out, HasSubstr("Isolation: none\n"));
  EXPECT_THAT(out, ContainsRegex("vCPU [01]: EL1, PSTATE 0x"));
  EXPECT_THAT(out, ContainsRegex("0xffff[0-9a-f]+ panic\\+0x[0-9a-f]+\n +0xffff[0-9a-f]+ sysrq_handle_crash\\+0x"));
  EXPECT_THAT(out, ContainsRegex("__handle_sysrq\\+0x"));
  EXPECT_THAT(out, HasSubstr("Kernel log:\n["));
  EXPECT_THAT(out, ContainsRegex("\\[ +[0-9]+\\.[0-9]+\\] Kernel panic - not syncing: sysrq triggered crash"));
  EXPECT_THAT(between(out, "Serial console, its end:\n", "INFO"), HasSubstr("Kernel panic - not syncing: sysrq triggered crash"));
  EXPECT_THAT(between(out, "INFO\n", "no such end"), HasSubstr("see 'adyton crash-report panics'"));
  EXPECT_THAT(
      out,
      ContainsRegex(
          R"("crash_report": \{ +"cause": "the guest's kernel panicked: sysrq triggered crash", +"kind": "kernel-panic", +"path": "/.*/vm/panics/crash/[0-9T.]+Z\.txt", +"time": "20)"));
  EXPECT_THAT(out, HasSubstr("there is no crash report of a virtual machine 'panics'")) << shell.errors();
}

TEST(CrashReport, AKernelThatStaysInItsPanicHasOneWhileItStays) {
  Adyton shell = Adyton::shell(
      R"sh("$ADYTON" run --detach --rm --name stays "$1" panic-and-stay > /dev/null
until "$ADYTON" info --json stays | grep -q '"crash_report"'; do :; done
"$ADYTON" info stays | grep State; "$ADYTON" crash-report stays; "$ADYTON" kill stays; "$ADYTON" crash-report --list stays)sh",
      {kDebuggee});
  shell.finish();
  const std::string& out = shell.output();
  EXPECT_THAT(out, ContainsRegex("State: +started")) << shell.errors();
  EXPECT_THAT(out, HasSubstr("Cause:     the guest's kernel panicked: sysrq triggered crash\nKind:      kernel-panic\n"));
  EXPECT_THAT(out, ContainsRegex("0xffff[0-9a-f]+ panic\\+0x[0-9a-f]+\n +0xffff[0-9a-f]+ sysrq_handle_crash\\+0x"));
  EXPECT_THAT(out, ContainsRegex("\nstays +20[0-9: -]+UTC +kernel-panic ")) << "and no second one";
}

// Linux's driver serves the watchdog until somebody opens it; who has opened it and hangs is found out.
TEST(CrashReport, AGuestThatHangsHasOne) {
  const Finished well = run({"--watchdog", "100", probe(), "watchdog"});
  EXPECT_EQ(well.code, 0) << well.errors;
  EXPECT_EQ(well.output, "SBSA Generic Watchdog, 100 s\n");
  Adyton shell = Adyton::shell(
      R"sh("$ADYTON" run --name hangs --watchdog 100 "$1" watchdog 1; echo "code $?"; "$ADYTON" crash-report hangs)sh",
      {probe()});
  shell.finish();
  EXPECT_THAT(shell.errors(), HasSubstr("the guest hangs: nobody has refreshed its watchdog in time"));
  EXPECT_THAT(shell.output(), HasSubstr("SBSA Generic Watchdog, 100 s\ncode 125\n"));
  EXPECT_THAT(shell.output(),
              HasSubstr("Cause:     the guest hangs: nobody has refreshed its watchdog in time\nKind:      hang\n"));
}

// Where the service keeps its data is its business: the client asks.
TEST(CrashReport, IsFoundWhereverTheServiceKeepsIt) {
  Adyton shell = Adyton::shell(
      R"sh("$ADYTON" run --name faults "$1" fault; XDG_DATA_HOME="$TMPDIR/elsewhere" "$ADYTON" crash-report faults | sed -n 3p)sh",
      {kDebuggee});
  shell.finish();
  EXPECT_THAT(shell.output(), HasSubstr("VM:        faults\n")) << shell.errors();
}

TEST(CrashReport, IsMadeWithoutTheServiceToo) {
  Adyton shell = Adyton::shell(
      R"sh("$ADYTON" run --no-service "$1" fault; echo "code $?"; "$ADYTON" run --no-service "$1" panic; echo "code $?"
cat "$XDG_DATA_HOME"/adyton/crash/*; "$ADYTON" crash-report; "$ADYTON" run --no-service "$1"; echo "code $?")sh",
      {kDebuggee});
  shell.finish();
  const std::string& out = shell.output();
  EXPECT_THAT(
      shell.errors(),
      ContainsRegex("adyton: a crash report is in /.*/adyton/crash/[0-9T.]+Z\\.txt\n(.|\n)*adyton: a crash report is in "));
  EXPECT_THAT(out, HasSubstr("code 139\ncode 125\n"));
  EXPECT_THAT(
      out,
      ContainsRegex(
          "VM:        pid-[0-9]+\nCause:     the payload was killed by signal 11 .Segmentation fault.\nKind:      payload\n"));
  EXPECT_THAT(out, HasSubstr("Isolation: none\nBackend:   soft\n"));
  EXPECT_THAT(out, ContainsRegex("debuggee.*: unhandled .*fault"));
  EXPECT_THAT(out, HasSubstr("Cause:     the guest's kernel panicked: sysrq triggered crash\nKind:      kernel-panic\n"));
  EXPECT_THAT(out, ContainsRegex("panic\\+0x[0-9a-f]+\n +0xffff[0-9a-f]+ sysrq_handle_crash\\+0x"));
  EXPECT_THAT(out, ContainsRegex("\npid-[0-9]+ +20[0-9: -]+UTC +payload "));
}

TEST(CrashReport, APayloadThatFaultsHasItsRegisters) {
  Adyton shell = Adyton::shell(
      R"sh("$ADYTON" run --name faults "$1" fault; echo "code $?"; "$ADYTON" crash-report faults; "$ADYTON" run --name well "$1"; "$ADYTON" crash-report --list well)sh",
      {kDebuggee});
  shell.finish();
  const std::string& out = shell.output();
  EXPECT_THAT(out, HasSubstr("code 139\n")) << shell.errors();
  EXPECT_THAT(out, HasSubstr("Cause:     the payload was killed by signal 11 (Segmentation fault)\n"));
  EXPECT_THAT(out, ContainsRegex("debuggee.*: unhandled .*fault"));
  EXPECT_THAT(out, ContainsRegex("pc : 0000000010[0-9a-f]+"));
  EXPECT_THAT(out, ContainsRegex("x0 : 0*10 *\n|x0 : "));
  EXPECT_THAT(out, Not(ContainsRegex("\nwell +20")));
}

}  // namespace
}  // namespace adyton::e2e

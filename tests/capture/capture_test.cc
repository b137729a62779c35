// Captures of running virtual machines: what the command does, and what Wireshark's programs see in it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <random>
#include <regex>
#include <sstream>

#include "tests/e2e/adyton.h"

namespace adyton::e2e {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ContainsRegex;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::IsSupersetOf;
using ::testing::Not;

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

std::string shell_output(const std::string& script, std::vector<std::string> arguments = {}) {
  Adyton shell = Adyton::shell(script, std::move(arguments));
  EXPECT_EQ(shell.finish(), 0) << shell.output() << shell.errors();
  return shell.output();
}

// A VM that runs the calculator, captured from its start to its end into "$1".
class CalculatorCapture : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new TemporaryFolder;
    Adyton shell = Adyton::shell(
        R"sh(export XDG_DATA_HOME="$TMPDIR"
           "$1" "$2" >/dev/null & pid=$!
           until "$ADYTON" info calculator-$pid >/dev/null 2>&1; do kill -0 $pid || exit 9; done
           "$ADYTON" capture calculator-$pid -w "$3" && wait $pid)sh",
        {ADYTON_CALCULATOR, ADYTON_CALCULATOR_PAYLOAD, file()});
    EXPECT_EQ(shell.finish(), 0) << shell.errors();
    EXPECT_THAT(shell.errors(), HasSubstr("0 packets dropped"));
  }
  static void TearDownTestSuite() { delete std::exchange(folder_, nullptr); }
  static std::string file() { return folder_->path() + "/calculator.pcapng"; }

  static std::vector<std::string> tshark(const std::string& options, const std::string& of = file()) {
    return lines_of(
        shell_output("WIRESHARK_CONFIG_DIR=\"$1\" exec tshark -X lua_script:\"$2\" -o rpcbinder.maps:\"$3\" -r \"$4\" " +
                         options + " 2>\"$1\"/errors; ! grep -i 'lua' \"$1\"/errors",
                     {folder_->path(), ADYTON_LUA, ADYTON_INTERFACES, of}));
  }
  // The calls and replies of the calculator's connection, without their times.
  static std::vector<std::string> calls(const std::string& of) {
    auto lines = tshark("-Y 'rpcbinder && adyton.guest_port == 5678' -T fields -E aggregator='|' -e rpcbinder.message", of);
    for (std::string& line : lines) line = std::regex_replace(line, std::regex(R"( \([0-9.]+ ms\))"), "");
    return lines;
  }

 private:
  static TemporaryFolder* folder_;
};
TemporaryFolder* CalculatorCapture::folder_ = nullptr;

TEST_F(CalculatorCapture, CallsAreDecoded) {
  const auto messages = tshark("-Y rpcbinder -T fields -E separator=' ' -E aggregator='|' -e rpcbinder.message");
  std::string all;
  for (const std::string& line : messages) all += line + "\n";
  for (const char* expected :
       {"new session, version 2|connection ready",
        "session accepted, version 2",
        "call GET_MAX_THREADS()",
        "reply GET_SESSION_ID = session ",
        "call GET_ROOT()",
        "connection of a session, version 2, for calls by the server",
        "call ICalculator.setListener(listener = object ",
        "call ICalculator.add(a = 19, b = 23)",
        "call ICalculatorListener.onResult(operation = \"add\", result = 42)",
        "reply ICalculatorListener.onResult (",
        "reply ICalculator.add = 42 (",
        "call ICalculator.multiply(a = 6, b = 7)",
        "call ICalculator.setListener(listener = null)",
        "call ICalculator.sum(values = [1, 2, 3, ",
        ", ... 1000 in all])",
        "reply ICalculator.sum = 500500 (",
        "call ICalculator.divide(a = 1, b = 0)",
        "reply ICalculator.divide failed: EX_ILLEGAL_ARGUMENT: \"division by zero\" (",
        "call ICalculator.multiply(a = 9223372036854775807, b = 2)",
        "reply ICalculator.multiply failed: EX_SERVICE_SPECIFIC: \"the result does not fit 64 bits\", error 1 (",
        "release object "}) {
    EXPECT_THAT(all, HasSubstr(expected));
  }
}

TEST_F(CalculatorCapture, FieldsCanBeFiltered) {
  const auto calls = tshark(
      "-Y 'rpcbinder.method == \"divide\" && rpcbinder.command == 0' -T fields -E separator=' ' -e rpcbinder.interface -e "
      "rpcbinder.code -e "
      "rpcbinder.argument -e adyton.stream");
  ASSERT_EQ(calls.size(), 1u);
  EXPECT_THAT(calls[0], ContainsRegex("^com.example.calculator.ICalculator 3 a = 1,b = 0 [0-9]+$"));
  EXPECT_EQ(tshark("-Y 'rpcbinder.exception == -8' -T fields -e rpcbinder.service_error"), (std::vector<std::string>{"1"}));
  EXPECT_EQ(tshark("-Y 'rpcbinder.exception == -3' -T fields -e rpcbinder.exception_message"),
            (std::vector<std::string>{"division by zero"}));
  // Every reply knows its call, and comes after it.
  for (const std::string& line : tshark("-Y 'rpcbinder.command == 1' -T fields -E separator=' ' -E occurrence=f -e frame.number "
                                        "-e rpcbinder.call_in -e rpcbinder.latency")) {
    std::istringstream words(line);
    double reply = 0, call = 0, latency = -1;
    words >> reply >> call >> latency;
    EXPECT_LT(call, reply) << line;
    EXPECT_GT(call, 0) << line;
    EXPECT_GE(latency, 0) << line;
  }
  EXPECT_TRUE(tshark("-Y rpcbinder.odd").empty());
  EXPECT_THAT(tshark("-Y 'vsock.virtio.op == 6' -c 50 -T fields -e _ws.col.Info"), Contains(HasSubstr("stream credit update")));
  const auto json = tshark("-Y 'rpcbinder.method == \"add\"' -T json");
  EXPECT_TRUE(std::ranges::any_of(
      json, [](const std::string& line) { return line.find("\"rpcbinder.result\": \"42\"") != std::string::npos; }));
}

TEST_F(CalculatorCapture, AConnectionCanBeFollowed) {
  const auto streams = tshark("-Y 'rpcbinder.method == \"sum\" && rpcbinder.command == 0' -T fields -e adyton.stream");
  ASSERT_EQ(streams.size(), 1u);
  std::string all;
  for (const std::string& line : tshark("-X lua_script1:follow=" + streams[0] + " -q")) all += line + "\n";
  EXPECT_THAT(all, AllOf(HasSubstr("host > guest, "), HasSubstr("guest > host, "), HasSubstr("t.o.r...I.C.a.")));
}

// The plugin's window, in a tshark that a script makes look like Wireshark: its menu is used before the file is read, so that the
// packets pass once more, as they do there.
TEST_F(CalculatorCapture, TheWindowShowsWhatTsharkPrints) {
  const auto streams = tshark("-Y 'rpcbinder.method == \"sum\" && rpcbinder.command == 0' -T fields -e adyton.stream");
  ASSERT_EQ(streams.size(), 1u);
  const TemporaryFolder folder;
  const std::string wireshark = folder.write("wireshark.lua", R"lua(local window
_G.gui_enabled = function() return true end
_G.register_menu = function(name, run)
  print(name)
  window = coroutine.create(run)
  assert(coroutine.resume(window))
end
_G.new_dialog = function(_, done) done(os.getenv("FOLLOWED")) end
_G.retap_packets = coroutine.yield
_G.TextWindow = {new = function(title) return {set = function(_, text) io.write(title, "\n", text) end} end}
local listener = Listener.new("frame")
function listener.draw() assert(coroutine.resume(window)) end
)lua");
  const auto window = [&](const std::string& stream) {
    return lines_of(shell_output(
        R"sh(FOLLOWED="$1" WIRESHARK_CONFIG_DIR="$2" exec tshark -X lua_script:"$3" -X lua_script:"$4" -q -r "$5" 2>"$2/errors")sh",
        {stream, folder.path(), wireshark, ADYTON_LUA, file()}));
  };
  std::vector<std::string> expected = {"Adyton/Follow vsock connection", "vsock connection " + streams[0]};
  for (const std::string& line : tshark("-X lua_script1:follow=" + streams[0] + " -q")) expected.push_back(line);
  EXPECT_THAT(window(streams[0]), ElementsAreArray(expected));
  EXPECT_EQ(window("4711").back(), "No bytes of it were captured.");
}

// As of a VM whose session is open already, which is what Wireshark usually finds.
TEST_F(CalculatorCapture, WhatACaptureThatStartedLateHasIsDecoded) {
  const auto whole = calls(file());
  const auto numbers = tshark("-Y 'rpcbinder && adyton.guest_port == 5678' -T fields -e frame.number");
  ASSERT_EQ(whole.size(), numbers.size());
  const TemporaryFolder folder;
  const std::string late = folder.path() + "/late.pcapng";
  for (const char* first : {"call ICalculator.add(", "call ICalculatorListener.onResult(operation = \"multiply\""}) {
    SCOPED_TRACE(first);
    const auto call = std::ranges::find_if(whole, [&](const std::string& line) { return line.starts_with(first); });
    ASSERT_NE(call, whole.end());
    shell_output("editcap -r \"$1\" \"$2\" \"$3\"-999999", {file(), late, numbers[static_cast<size_t>(call - whole.begin())]});
    // Only replies to calls from before are without a name.
    auto expected = std::vector<std::string>(call, whole.end());
    const auto seen = calls(late);
    ASSERT_EQ(seen.size(), expected.size());
    size_t nameless = 0;
    for (size_t i = 0; i < seen.size(); ++i) {
      if (seen[i] != expected[i]) {
        ++nameless;
        EXPECT_THAT(seen[i], ContainsRegex("reply( = [0-9]+)?$")) << expected[i];
      }
    }
    EXPECT_EQ(nameless, std::string_view(first).find("Listener") != std::string_view::npos ? 1u : 0u);
    EXPECT_TRUE(tshark("-Y rpcbinder.odd", late).empty());
    EXPECT_THAT(tshark("-Y 'rpcbinder && !adyton.began_before && adyton.guest_port == 5678'", late), IsEmpty());
  }
}

TEST_F(CalculatorCapture, WhatWasCutHasItsCallsStill) {
  const TemporaryFolder folder;
  const std::string cut = folder.path() + "/cut.pcapng";
  shell_output("editcap -s 300 \"$1\" \"$2\"", {file(), cut});
  EXPECT_EQ(tshark("-Y 'adyton.op == 5' -T fields -e frame.number", cut),
            tshark("-Y 'adyton.op == 5' -T fields -e frame.number"));
  const std::string methods = "-Y rpcbinder.method -T fields -e rpcbinder.method";
  EXPECT_THAT(tshark(methods, cut), ElementsAreArray(tshark(methods)));
  const std::string answered = "-Y rpcbinder.latency -T fields -e rpcbinder.method";
  EXPECT_THAT(tshark(answered, cut), ElementsAreArray(tshark(answered)));
  EXPECT_THAT(calls(cut), Contains(AllOf(HasSubstr("call ICalculator.sum("), HasSubstr(", cut short"))));
  EXPECT_TRUE(tshark("-Y rpcbinder.odd", cut).empty());
}

// The plugin reads what a guest chose to send: damaged messages are said to be so, and are no errors of the plugin.
TEST_F(CalculatorCapture, DamageIsNoErrorOfThePlugin) {
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE(::testing::Message() << "seed " << seed);
  std::mt19937_64 random(seed);
  const std::string whole = contents(file());
  for (int round = 0; round < 5; ++round) {
    std::string damaged = whole;
    const auto word = [&](size_t at) {
      uint32_t value = 0;
      std::memcpy(&value, whole.data() + at, sizeof(value));
      return value;
    };
    // Blocks of packets: 28 bytes, then 76 of headers, then payload.
    for (size_t at = 0; at + 28 < whole.size(); at += word(at + 4)) {
      const uint32_t captured = word(at) == 6 ? word(at + 20) : 0;
      const uint32_t first = random() % 8 == 0 ? 32 : 76;
      for (uint64_t i = random() % 4; captured > first && i > 0; --i)
        damaged[at + 28 + first + random() % (captured - first)] = static_cast<char>(random() % 3 == 0 ? 0xff : random());
    }
    const TemporaryFolder folder;
    const std::string text = shell_output(
        R"sh(WIRESHARK_CONFIG_DIR="$1" tshark -2 -X lua_script:"$2" -o rpcbinder.maps:"$3" -r "$4" -V >"$1/text" 2>&1 || exit 1
                          grep -a -i -e 'lua error' -e 'adyton.lua:' "$1/text" || echo fine; wc -l <"$1/text")sh",
        {folder.path(), ADYTON_LUA, ADYTON_INTERFACES, folder.write("damaged.pcapng", damaged)});
    EXPECT_THAT(text, ContainsRegex("^fine\n[0-9][0-9][0-9]+\n"));
  }
}

TEST_F(CalculatorCapture, TcpdumpAndCapinfosReadIt) {
  const std::string text = shell_output("tcpdump -r \"$1\" 2>/dev/null; capinfos -M \"$1\"", {file()});
  EXPECT_THAT(text, AllOf(HasSubstr("VIRTIO"), HasSubstr("PAYLOAD"), ContainsRegex("Name = calculator-[0-9]+\n"),
                          HasSubstr("Capture application: adyton ")));
}

// ---- the command

TEST(Capture, StreamsUntilTheVmEndsOrItsReaderDoes) {
  const std::string text = shell_output(
      R"sh(export XDG_DATA_HOME="$TMPDIR"
         "$ADYTON" run --detach --name one "$PROBE" wait >/dev/null || exit 8
         "$ADYTON" run --detach --name two "$PROBE" wait >/dev/null || exit 8
         # A reader that takes a few bytes and goes.
         { "$ADYTON" capture one -w -; echo $? >"$TMPDIR/code"; } 2>/dev/null | head -c 30 >/dev/null
         cat "$TMPDIR/code"
         # Two at once, of which one ends at the count and one with the virtual machines.
         mkfifo "$TMPDIR/pipe"
         "$ADYTON" capture one two -w - 2>"$TMPDIR/said" >"$TMPDIR/pipe" & long=$!
         tshark -r - -T fields -e frame.interface_name <"$TMPDIR/pipe" 2>/dev/null | sort | uniq >"$TMPDIR/names" & reader=$!
         "$ADYTON" capture -c 1 one -v >"$TMPDIR/text" 2>"$TMPDIR/said1" & short=$!
         until grep -q capturing "$TMPDIR/said" && grep -q capturing "$TMPDIR/said1"; do :; done
         "$ADYTON" exec one -- /missing 2>/dev/null
         "$ADYTON" exec two -- /missing 2>/dev/null
         wait $short; echo $?
         "$ADYTON" kill one two
         wait $long; echo $?
         wait $reader
         cat "$TMPDIR/names"
         cat "$TMPDIR/text"
         "$ADYTON" delete one two)sh");
  EXPECT_THAT(text, ContainsRegex(
                        "^0\n0\n0\none\ntwo\n[0-9:.]+ 2\\.[0-9]+ > 3\\.[0-9]+: stream [a-z]+.*buf_alloc [0-9]+, fwd_cnt [0-9]+"));
}

TEST(Capture, CtrlCEndsItCleanly) {
  const std::string text = shell_output(
      R"sh(export XDG_DATA_HOME="$TMPDIR"
         "$ADYTON" run --detach --name one "$PROBE" wait >/dev/null || exit 8
         for signal in INT TERM; do
           rm -f "$TMPDIR/said"  # what an earlier one said is not this one's word
           "$ADYTON" capture one -w "$TMPDIR/file" 2>"$TMPDIR/said" & pid=$!
           until grep -qs capturing "$TMPDIR/said"; do :; done
           kill -$signal $pid
           wait $pid; echo $?
           capinfos -c "$TMPDIR/file" >/dev/null && echo whole
         done
         "$ADYTON" capture one -w /dev/full 2>"$TMPDIR/said"; echo $?
         grep -o 'No space left.*' "$TMPDIR/said"
         "$ADYTON" capture nobody 2>"$TMPDIR/said"; echo $?
         "$ADYTON" delete -f one)sh");
  EXPECT_THAT(text, ContainsRegex("^0\nwhole\n0\nwhole\n125\nNo space left on device.*\n125\n"));
}

TEST(Capture, ATraceHasTheCallsOfAPayload) {
  const std::string text = shell_output(
      R"sh(export XDG_DATA_HOME="$TMPDIR"
         "$1" "$2" >/dev/null & pid=$!
         until "$ADYTON" info calculator-$pid >/dev/null 2>&1; do kill -0 $pid || exit 9; done
         "$ADYTON" trace calculator-$pid -q -c calls -o "$TMPDIR/trace.json" && wait $pid && cat "$TMPDIR/trace.json")sh",
      {ADYTON_CALCULATOR, ADYTON_CALCULATOR_PAYLOAD});
  // While it adds, the guest calls its listener.
  const size_t add = text.find("\"ICalculator code 1\"");
  const size_t result = text.find("\"ICalculatorListener code 1\"", add);
  EXPECT_LT(add, result);
  EXPECT_LT(result, text.find("\"ICalculator code 2\""));
  EXPECT_THAT(text,
              AllOf(HasSubstr("com.example.calculator.ICalculator"), HasSubstr("GET_ROOT"), HasSubstr("\"exception\":\"-3\"")));
}

// The first packet of all is the guest's init, which connects to what started it.
TEST(Capture, OfARunBeginsWithItsFirstConnection) {
  for (const std::string direct : {"", "--no-service"}) {
    SCOPED_TRACE(direct);
    for (const std::string file : {"file.pcapng", "file.pcap"}) {
      const std::string text =
          shell_output("\"$ADYTON\" run " + direct + R"sh( --capture "$TMPDIR/)sh" + file +
                       R"sh(" "$PROBE" exit 3; echo $?
           tshark -r "$TMPDIR/)sh" +
                       file +
                       R"sh(" -T fields -E separator=' ' -e frame.number -e vsock.dst_port -e vsock.virtio.op |
             sed -n '1p;$p'
           rm "$TMPDIR"/file.*)sh");
      // VIRTIO_VSOCK_OP_REQUEST is 1.
      EXPECT_THAT(text, ContainsRegex("^3\n1 (5000|1024) 1\n[0-9]+ [0-9]+ [0-9]\n$"));
    }
  }
}

TEST(Capture, OfARunAndItsTraceGoTogether) {
  const std::string text = shell_output(
      R"sh("$ADYTON" run --capture "$TMPDIR/one.pcapng" --trace "$TMPDIR/one.txt" --trace-categories vsock,calls "$PROBE" exit 0 || exit 8
         capinfos -c "$TMPDIR/one.pcapng" | grep -c 'Number of packets'
         grep -c 'connections' "$TMPDIR/one.txt"
         # A FIFO with a reader that goes costs the capture, and not the payload.
         mkfifo "$TMPDIR/pipe"; head -c 30 "$TMPDIR/pipe" >/dev/null & "$ADYTON" run --capture "$TMPDIR/pipe" "$PROBE" exit 3; echo $?
         rm "$TMPDIR"/one.* "$TMPDIR/pipe")sh");
  EXPECT_THAT(text, ContainsRegex("^1\n[1-9][0-9]*\n3\n$"));
}

TEST(Capture, WiresharkHearsThatThereIsNoSuchVm) {
  const std::string text = shell_output(
      R"sh(mkfifo "$TMPDIR/pipe"
         "$1" --capture --extcap-interface adyton-nobody --fifo "$TMPDIR/pipe" 2>"$TMPDIR/said" & extcap=$!
         wc -c <"$TMPDIR/pipe"
         wait $extcap; echo $?
         cat "$TMPDIR/said")sh",
      {ADYTON_EXTCAP});
  EXPECT_THAT(text, ContainsRegex("^0\n125\nadyton[a-z-]*: .*nobody"));
}

TEST(Capture, WiresharkFindsRunningVms) {
  const std::string text = shell_output(
      R"sh(export XDG_DATA_HOME="$TMPDIR"
         mkdir -p "$TMPDIR/config/extcap" && ln -s "$1" "$TMPDIR/config/extcap/adyton-extcap"
         export WIRESHARK_CONFIG_DIR="$TMPDIR/config"
         "$ADYTON" run --detach --name shown "$PROBE" wait >/dev/null || exit 8
         tshark -D 2>/dev/null | grep adyton-
         tshark -i adyton-shown -w - 2>"$TMPDIR/said" >"$TMPDIR/file" & shark=$!
         until grep -q 'Capture started' "$TMPDIR/said"; do kill -0 $shark || exit 9; done
         until [ "$(tshark -r "$TMPDIR/file" 2>/dev/null | wc -l)" -ge 4 ]; do "$ADYTON" exec shown -- /missing 2>/dev/null; done
         kill -INT $shark; wait $shark; echo $?
         tshark -r "$TMPDIR/file" -T fields -e frame.protocols 2>/dev/null | sort -u | head -1
         "$ADYTON" delete -f shown)sh",
      {ADYTON_EXTCAP});
  EXPECT_THAT(text, ContainsRegex("^[0-9]+\\. adyton-shown \\(vsock of Adyton VM shown\\)\n0\nvsock\n"));
}

TEST(Capture, WiresharksOptionsChooseWhatIsCaptured) {
  const std::string text = shell_output(
      R"sh(export XDG_DATA_HOME="$TMPDIR"
         mkdir -p "$TMPDIR/config/extcap" && ln -s "$1" "$TMPDIR/config/extcap/adyton-extcap"
         export WIRESHARK_CONFIG_DIR="$TMPDIR/config"
         "$ADYTON" run --detach --name chosen "$PROBE" wait >/dev/null || exit 8
         capture() {  # NAME OPTIONS...
           name=$1; shift
           tshark -i adyton-chosen -w - "$@" 2>"$TMPDIR/said.$name" >"$TMPDIR/$name" & eval "$name=$!"
           until grep -q 'Capture started' "$TMPDIR/said.$name"; do eval "kill -0 \$$name" || { cat "$TMPDIR/said.$name"; exit 9; }; done
         }
         ports() { tshark -r "$TMPDIR/$1" -T fields -e vsock.src_port -e vsock.dst_port 2>/dev/null; }
         # 1029: the guest's server of exec.
         capture all
         capture some -f "port 1029 or port 4000000000" -o "extcap.adyton_chosen.snaplen:80"
         capture none -f "port 4000000000"
         until [ "$(ports some | wc -l)" -ge 4 ] && [ "$(ports all | wc -l)" -ge 4 ]; do "$ADYTON" exec chosen -- /missing 2>/dev/null; done
         kill -INT $all $some $none; wait $all $some $none
         ports some | awk '$1 != 1029 && $2 != 1029' | wc -l
         ports none | wc -l
         tshark -r "$TMPDIR/some" -Y 'frame.cap_len > 80' 2>/dev/null | wc -l
         tshark -r "$TMPDIR/some" -Y 'frame.len > 80 && frame.cap_len == 80' -T fields -e frame.cap_len 2>/dev/null | sort -u
         # A filter of another kind ends tshark, with what is wrong with it.
         tshark -i adyton-chosen -f 'tcp port 80' -w "$TMPDIR/refused" 2>&1 | grep -o 'a capture filter for vsock is like.*'
         "$ADYTON" delete -f chosen)sh",
      {ADYTON_EXTCAP});
  EXPECT_EQ(text, "0\n0\n0\n80\na capture filter for vsock is like 'port 5000 or port 6000'\n");
}

}  // namespace
}  // namespace adyton::e2e

#include "base/log/line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>
#include <vector>

#include "base/log/journal.h"

namespace adyton::log {
namespace {

using nlohmann::json;
using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

const std::chrono::system_clock::time_point kTime(
    std::chrono::microseconds(1'772'446'500'123'456));  // 2026-03-02T10:15:00.123456Z

std::string text_of(const Record& record) {
  Line line;
  write_text(line, record);
  return std::string(line.text());
}

std::string json_of(const Record& record) {
  Line line;
  write_json(line, record);
  return std::string(line.text());
}

std::string escaped(std::string_view text, Escape how) {
  Line line;
  append_escaped(line, text, how);
  return std::string(line.text());
}

Record record(std::string_view message, std::span<const Field> fields = {}, std::span<const Field> context = {}) {
  return {.time = kTime,
          .level = Level::kWarning,
          .pid = 4711,
          .component = "virtio",
          .context = context,
          .fields = fields,
          .message = message};
}

TEST(Line, ReadsAsDocumented) {
  const Field context[] = {{"vm", "demo"}, {"cid", 17u}};
  const Field fields[] = {{"device", "block"}, {"delta", -5}, {"lowest", INT64_MIN}, {"ok", true}, {"path", "a b"}};
  EXPECT_EQ(text_of(record("the guest's driver broke the device", fields, context)),
            "2026-03-02T10:15:00.123456Z warning virtio[4711] vm=demo cid=17 device=block delta=-5 lowest=-9223372036854775808 "
            "ok=true path=\"a b\": the guest's driver broke the device");
  EXPECT_EQ(json_of(record("it \"broke\"", fields, context)),
            R"({"time":"2026-03-02T10:15:00.123456Z","level":"warning","component":"virtio","pid":4711,"vm":"demo","cid":17,)"
            R"("device":"block","delta":-5,"lowest":-9223372036854775808,"ok":"true","path":"a b","message":"it \"broke\""})");
}

TEST(Line, WritesTimesBeforeAndFarAfterNow) {
  Record early = record("x");
  early.time = std::chrono::system_clock::time_point(std::chrono::microseconds(-1));
  EXPECT_THAT(text_of(early), StartsWith("1969-12-31T23:59:59.999999Z "));
  early.time = std::chrono::sys_days(std::chrono::year(2096) / 2 / 29);
  EXPECT_THAT(text_of(early), StartsWith("2096-02-29T00:00:00.000000Z "));
}

TEST(Line, EscapesWhatCouldDeceiveItsReader) {
  EXPECT_EQ(escaped("a\nb\r\t\x1b[31m\x7f\\", Escape::kText), R"(a\nb\r\t\x1b[31m\x7f\\)");
  EXPECT_EQ(escaped("say \"hi\"", Escape::kQuoted), R"(say \"hi\")");
  EXPECT_EQ(escaped("\xc2\x9b"
                    "31m",
                    Escape::kText),
            R"(\u{9b}31m)")
      << "a control of ISO 6429 in UTF-8";
  EXPECT_EQ(escaped("\xe2\x80\xae"
                    "abc",
                    Escape::kText),
            R"(\u{202e}abc)")
      << "right-to-left override";
  EXPECT_EQ(escaped("\xff\xc0\x80\xed\xa0\x80\xf4\x90\x80\x80", Escape::kText), R"(\xff\xc0\x80\xed\xa0\x80\xf4\x90\x80\x80)")
      << "no UTF-8: overlong, a surrogate, too large";
  EXPECT_EQ(escaped("gr\xc3\xbc\xc3\x9f"
                    "e \xf0\x9f\x98\x80",
                    Escape::kText),
            "gr\xc3\xbc\xc3\x9f"
            "e \xf0\x9f\x98\x80");
  EXPECT_EQ(escaped("\xf3\xa0\x81\x81\x1b\xff", Escape::kJson), R"(\udb40\udc41\u001b\ufffd)");
  EXPECT_EQ(escaped(std::string_view("\0x", 2), Escape::kText), R"(\x00x)");
}

TEST(Line, LetsNoValueMakeUpAnotherField) {
  const Field fields[] = {{"name", "x vm=other"}, {"quote", "\" vm=other"}, {"empty", ""}, {"line", "a\nvm=other"}};
  EXPECT_THAT(text_of(record("done vm=other", fields)),
              EndsWith(R"( name="x vm=other" quote="\" vm=other" empty="" line="a\nvm=other": done vm=other)"));
}

TEST(Line, CutsWhatIsTooLong) {
  const std::string longest(100'000, '\n');
  const std::string text = text_of(record(longest));
  EXPECT_LT(text.size(), Line::kCapacity);
  EXPECT_GT(text.size(), Line::kCapacity - 10);
  EXPECT_THAT(text, EndsWith(R"(\n...)"));
  EXPECT_LT(json_of(record(longest)).size(), Line::kCapacity);
  EXPECT_THAT(std::string(json::parse(json_of(record(longest)))["message"]), EndsWith("\n..."));

  const std::vector<Field> many(100, Field("key", std::string_view(longest)));
  EXPECT_THAT(text_of(record("the message", many)), EndsWith(": the message"));
  EXPECT_EQ(json::parse(json_of(record("the message", many)))["message"], "the message");
}

TEST(Line, IsOneLineOfTextWhateverTheBytes) {
  const auto seed = std::random_device()();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 3000; ++round) {
    std::string bytes(random() % (round % 10 == 0 ? 5000 : 40), '\0');
    for (char& c : bytes) c = static_cast<char>(round % 2 == 0 ? random() : "\n\"\\\x1b\xc3\xa9\xe2\x80\xae="[random() % 10]);
    const Field fields[] = {{"a", bytes}, {"b", std::string_view(bytes).substr(bytes.size() / 2)}};
    const Record what = record(bytes, fields, fields);
    for (const std::string& line : {text_of(what), json_of(what)}) {
      ASSERT_LT(line.size(), Line::kCapacity);
      for (const char c : line) ASSERT_FALSE(static_cast<unsigned char>(c) < 0x20 || c == 0x7f) << testing::PrintToString(bytes);
    }
    ASSERT_TRUE(json::accept(json_of(what))) << testing::PrintToString(bytes);

    JournalEntry entry;
    write_journal(entry, what, "adytond");
    std::string_view rest = entry.text();
    int lines = 0;
    for (; !rest.empty(); ++lines) {
      const size_t end = rest.find('\n');
      ASSERT_NE(end, std::string_view::npos);
      ASSERT_LT(rest.find('='), end);
      rest.remove_prefix(end + 1);
    }
    ASSERT_LE(lines, 9) << "a value began a line of its own";
  }
}

TEST(JournalEntry, HasTheFieldsThatJournalctlKnows) {
  const Field context[] = {{"vm", "demo"}};
  const Field fields[] = {{"queue", -1}};
  JournalEntry entry;
  write_journal(entry, record("two\nlines", fields, context), "adytond");
  EXPECT_EQ(entry.text(),
            "MESSAGE=virtio[4711] vm=demo queue=-1: two\\nlines\n"
            "PRIORITY=4\n"
            "SYSLOG_IDENTIFIER=adytond\n"
            "ADYTON_COMPONENT=virtio\n"
            "ADYTON_PID=4711\n"
            "ADYTON_VM=demo\n"
            "ADYTON_QUEUE=-1\n");
}

TEST(Level, HasAWordEach) {
  for (const Level level : {Level::kOff, Level::kError, Level::kWarning, Level::kInfo, Level::kDebug}) {
    EXPECT_EQ(parse_level(to_string(level)), level);
  }
  const auto wrong = parse_level("loud");
  ASSERT_FALSE(wrong);
  EXPECT_THAT(wrong.error().message, HasSubstr("'loud' is no log level"));
}

}  // namespace
}  // namespace adyton::log

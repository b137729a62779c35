#include "tools/capture/pcap_writer.h"

#include <pcap/pcap.h>

#include <cstdio>
#include <optional>
#include <utility>

namespace adyton::capture {

struct PcapWriter::File {
  explicit File(Output& to) : output(to) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() {
    if (dumper != nullptr) ::pcap_dump_close(dumper);
    if (handle != nullptr) ::pcap_close(handle);
  }

  static ssize_t write(void* cookie, const char* bytes, size_t size) {
    auto& self = *static_cast<File*>(cookie);
    auto written = self.output.write(std::span(reinterpret_cast<const uint8_t*>(bytes), size));
    if (written) return static_cast<ssize_t>(size);
    self.error = std::move(written.error());
    return 0;
  }

  Output& output;
  std::optional<Error> error;  // why the last write failed
  pcap_t* handle = nullptr;
  pcap_dumper_t* dumper = nullptr;  // owns its stream
};

PcapWriter::PcapWriter(Output& output, uint32_t snaplen, std::unique_ptr<File> file)
    : output_(output), snaplen_(snaplen), file_(std::move(file)) {}
PcapWriter::~PcapWriter() = default;

Result<std::unique_ptr<PcapWriter>> PcapWriter::create(Output& output, uint32_t snaplen) {
  auto file = std::make_unique<File>(output);
  file->handle = ::pcap_open_dead_with_tstamp_precision(kLinkType, static_cast<int>(snaplen), PCAP_TSTAMP_PRECISION_NANO);
  FILE* stream = ::fopencookie(file.get(), "w", {.read = nullptr, .write = File::write, .seek = nullptr, .close = nullptr});
  if (file->handle == nullptr || stream == nullptr) {
    if (stream != nullptr) ::fclose(stream);
    return fail(ErrorCode::kExhausted, "there is no memory to write a capture");
  }
  file->dumper = ::pcap_dump_fopen(file->handle, stream);
  if (file->dumper == nullptr) {
    ::fclose(stream);
    return fail(ErrorCode::kInternal, std::string("cannot begin a pcap file: ") + ::pcap_geterr(file->handle));
  }
  return std::unique_ptr<PcapWriter>(new PcapWriter(output, snaplen, std::move(file)));
}

Result<void> PcapWriter::packet(uint32_t, const Packet& packet, uint64_t, const std::string&) {
  write_frame(packet, snaplen_, frame_);
  pcap_pkthdr header{};
  header.ts.tv_sec = static_cast<time_t>(packet.time / 1'000'000'000);
  header.ts.tv_usec = static_cast<suseconds_t>(packet.time % 1'000'000'000);  // nanoseconds, as the precision says
  header.caplen = static_cast<uint32_t>(frame_.size());
  header.len = packet.size();
  ::pcap_dump(reinterpret_cast<u_char*>(file_->dumper), &header, frame_.data());
  if (file_->error) return std::unexpected(*file_->error);
  return {};
}

Result<void> PcapWriter::flush() {
  const bool flushed = ::pcap_dump_flush(file_->dumper) == 0;
  if (file_->error) return std::unexpected(*file_->error);
  if (!flushed) return fail(ErrorCode::kInternal, "cannot write the capture");
  return output_.flush();
}

}  // namespace adyton::capture

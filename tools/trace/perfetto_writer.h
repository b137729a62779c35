// Traces in Perfetto's format (ui.perfetto.dev, trace_processor): a sequence of TracePacket messages.
#pragma once
#include "tools/capture/output.h"
#include "tools/trace/proto_encoder.h"
#include "tools/trace/writer.h"

namespace adyton::trace {

class PerfettoWriter final : public Writer {
 public:
  // The output stays the caller's.
  explicit PerfettoWriter(capture::Output& output) : output_(output) {}

  Result<void> begin(const Process& process) override;
  Result<void> track(const Track& track) override;
  Result<void> event(const Event& event) override;
  Result<void> end() override { return output_.flush(); }
  Result<void> flush() override { return output_.flush(); }

 private:
  Result<void> write_packet();

  capture::Output& output_;
  ProtoEncoder packet_, body_, part_;  // reused from packet to packet
  ProtoEncoder trace_;
};

}  // namespace adyton::trace

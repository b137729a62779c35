// The other side of the example: makes media segments, encrypts them with Common Encryption, and wraps keys into licences. In the
// world that is a packager and a licence server; here both are in the player's program, so that it can compare.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "com/example/drm/Licence.h"
#include "com/example/drm/TrackEncryption.h"

using Bytes = std::vector<uint8_t>;

struct Segment {
  Bytes data;                        // moof and mdat
  Bytes tag;                         // HMAC-SHA256
  std::vector<Bytes> frame_digests;  // SHA-256 of the frames before they were encrypted
};

// Frames that look like H.264 to a parser: each NAL unit's length and header are clear, its body is encrypted.
adyton::Result<Segment> package(const com::example::drm::TrackEncryption& track, std::span<const uint8_t> key, uint32_t number);

// A tag for a segment as a licence holder could make it.
adyton::Result<Bytes> authenticate(std::span<const uint8_t> key, std::span<const uint8_t> segment);

adyton::Result<com::example::drm::Licence> issue_licence(std::span<const uint8_t> session_key, const Bytes& key_id,
                                                         std::span<const uint8_t> key);

adyton::Result<Bytes> random_bytes(size_t size);

// What an AParcel is.
#pragma once
#include <cstddef>
#include <cstdint>

#include "rpc/ndk/include/android/binder_parcel.h"
#include "rpc/parcel.h"

// For binder_parcel_utils.h, which declares them too.
extern "C" bool adyton_AParcel_enter(const AParcel* parcel);
extern "C" void adyton_AParcel_leave(const AParcel* parcel);

// A parcel with one position for reading and writing; of its own, or one that a call lends to its stub.
struct AParcel {
  AParcel() : parcel(&own) {}
  // The arguments of a call: to be read on from where they stand.
  explicit AParcel(const adyton::rpc::Parcel& arguments)
      : parcel(const_cast<adyton::rpc::Parcel*>(&arguments)), writable(false), position(arguments.read_position()) {}
  // The reply to it.
  explicit AParcel(adyton::rpc::Parcel* reply) : parcel(reply), position(reply->write_position()) {}
  AParcel(const AParcel&) = delete;
  AParcel& operator=(const AParcel&) = delete;

  adyton::rpc::Parcel own;
  adyton::rpc::Parcel* const parcel;
  const bool writable = true;
  mutable size_t position = 0;
  mutable uint32_t depth = 0;
  const AIBinder* target = nullptr;  // of a call that is prepared
};

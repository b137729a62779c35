package com.example.all;

import com.example.all.IEverything;

@JavaDerive(equals=true, toString=true)
@RustDerive(Clone=true, PartialEq=true)
parcelable Record {
  const int LIMIT = IEverything.VERSION * 100;
  boolean a = true;
  byte b = 127;
  char c = 'c';
  int d = 0x7fffffff;
  long e = 9223372036854775807;
  float f = -.5f;
  double g = 2.25e-3;
  String h = "h" + IEverything.NAME;
  IEverything.Kind i = IEverything.Kind.TWO;
  int[] j = {1, LIMIT, -1};
  int[2][2] k = {{1, 2}, {3, 4}};
  String[] l = {};
  @nullable String m;
  @nullable(heap=true) Record n;
  Record[] o;
  List<String> p;
  @nullable List<Record> q;
  IBinder r;
  @nullable IEverything s;
  @nullable ParcelFileDescriptor t;
  ParcelableHolder u;
  Generic<String, Record[]> v;
  @Hide @UnsupportedAppUsage(maxTargetSdk=28, trackingBug=170729553) int w = (1 + 2) * 3;
  char[3] x = {'a', 'b', 'c'};
  @FixedSize parcelable Fixed {
    int a;
    IEverything.Kind[2] b;
    Pair pair;
    @FixedSize union Pair { long first = 1; double second; }
  }
  parcelable Generic<T, U> { int count; }
  parcelable Old<T> cpp_header "old.h" ndk_header "ndk/old.h" rust_type "old::Old";
}

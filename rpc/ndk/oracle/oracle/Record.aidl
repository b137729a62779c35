package oracle;

parcelable Record {
  int number = 5;
  String name;
  @nullable String nickname;
  int[] numbers;
  String[] words;
  @nullable IBinder object;
  @nullable ParcelFileDescriptor file;
  boolean flag = true;
}

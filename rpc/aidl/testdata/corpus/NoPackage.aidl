parcelable NoPackage { org.shapes.Shape shape; NoPackage[] more; }

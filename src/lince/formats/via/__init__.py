"""VGG Image Annotator: projects and exports."""
